"""May pages of an origin use the server: what a browser makes of the answers (Fetch standard, CORS protocol)."""

from __future__ import annotations

from typing import Final

import msgspec

from roomcast.doctor.answers import BAD_REQUEST, Answer, Outcome, engine_code, summary
from roomcast.doctor.findings import Finding, ok, skipped, warning, wrong
from roomcast.doctor.judging.websockets import SocketTry

CHECK: Final = "origin"
_ALLOW: Final = "access-control-allow-origin"
_CREDENTIALS: Final = "access-control-allow-credentials"

_FORWARD: Final = (
    "let every proxy pass on by which name and scheme clients came (Host or X-Forwarded-Host, X-Forwarded-Proto), and"
    " let the node believe it (--forwarded-allow-ips); or list the origin in cors_allowed_origins. If pages come from"
    " elsewhere, say from where: --origin"
)


class Asked(msgspec.Struct, frozen=True):
    """The same as a page of ``origin`` would ask: a polling session, the question before it, and a WebSocket.

    ``own`` is the deployment's own address; then no browser looks at CORS headers. None: not tried.
    """

    origin: str
    own: bool
    polling: Outcome | None
    preflight: Outcome | None
    socket: SocketTry | None


def judge_origin(asked: Asked | None, needs_cookies: bool = False) -> Finding:
    """Whether pages of that origin can use the server."""
    if asked is None:
        return skipped(CHECK, "not looked at")
    whose = "pages of this address itself" if asked.own else f"pages of {asked.origin}"
    facts = {"origin": asked.origin}
    refusal = _refusal(asked)
    if refusal is not None:
        if asked.own:
            return warning(CHECK, f"{whose} ({asked.origin}) are refused: {refusal}", _FORWARD, **facts)
        advice = f'name them: AsyncServer(cors_allowed_origins=["{asked.origin}"])'
        return wrong(CHECK, f"{whose} are refused: {refusal}", advice, **facts)
    if asked.own:
        return ok(CHECK, f"{whose} may connect", **facts)
    polling = asked.polling
    if isinstance(polling, Answer) and (fault := _fault(asked.origin, polling, needs_cookies)) is not None:
        return wrong(CHECK, f"browsers hide the answers from {whose}: {fault[0]}", fault[1], **facts)
    if asked.preflight is not None and not _permits(asked.origin, asked.preflight):
        text = f"{whose} may connect, but not with headers of their own: OPTIONS: {summary(asked.preflight)}"
        advice = "let the proxies pass OPTIONS on to the node, which answers it; or use no extraHeaders"
        return warning(CHECK, text, advice, **facts)
    return ok(CHECK, f"{whose} may connect", **facts)


def _refusal(asked: Asked) -> str | None:
    polling, socket = asked.polling, asked.socket
    if polling is not None and not (isinstance(polling, Answer) and polling.status == 200):
        by_node = engine_code(polling) == BAD_REQUEST
        return f"the node answers {polling.status}" if by_node and isinstance(polling, Answer) else summary(polling)
    if socket is not None and socket.stage == "refused":
        return f"the WebSocket: {summary(socket.outcome)}"
    return None


def _fault(origin: str, answer: Answer, needs_cookies: bool) -> tuple[str, str] | None:
    """What a browser does not like about the answer, and what to do."""
    allowed = answer.all(_ALLOW)
    credentials = answer.header(_CREDENTIALS) == "true"
    if not allowed:
        return "Access-Control-Allow-Origin is missing", (
            "a proxy takes it away, or the server is told to leave CORS alone (cors_allowed_origins=[])"
        )
    if len(allowed) > 1 or "," in allowed[0]:
        return "Access-Control-Allow-Origin comes twice", (
            "the node sets it and a proxy adds its own: let only one of them do it"
        )
    if allowed[0] == "*" and (credentials or needs_cookies):
        return "Access-Control-Allow-Origin: * is not valid with cookies", (
            "let the node answer with the origin itself: take the header out of the proxy"
        )
    if allowed[0] not in ("*", origin):
        return f"Access-Control-Allow-Origin names {allowed[0]}", "let the node set that header, and no proxy"
    if needs_cookies and not credentials:
        return "stickiness needs cookies, and Access-Control-Allow-Credentials is missing", (
            "set cors_credentials, and withCredentials in the clients; or route by sid= instead of a cookie"
        )
    return None


def _permits(origin: str, outcome: Outcome) -> bool:
    if not isinstance(outcome, Answer) or not 200 <= outcome.status < 300:
        return False
    return outcome.all(_ALLOW) in ([origin], ["*"])

"""Does a WebSocket come through every proxy, from the start and in place of polling?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from roomcast.doctor.answers import (
    BAD_REQUEST,
    SID_UNKNOWN,
    TRANSPORT_UNKNOWN,
    Answer,
    Outcome,
    engine_code,
    speaker,
    summary,
)
from roomcast.doctor.findings import Finding, ok, skipped, warning, wrong
from roomcast.doctor.wording import count, shares

_HEADERS: Final = (
    "let every proxy on the way pass the upgrade on. nginx: proxy_http_version 1.1; proxy_set_header Upgrade"
    ' $http_upgrade; proxy_set_header Connection "upgrade". HAProxy: mode http, and no "del-header upgrade".'
    " In front of them: switch WebSockets on"
)
_SILENT: Final = (
    "a proxy answers the handshake and carries nothing behind it: let it pass WebSockets on as a tunnel, unbuffered"
)
_LOG: Final = "look at the logs of the balancer and the nodes; until it works, clients stay on polling"


class SocketTry(msgspec.Struct, frozen=True):
    """One WebSocket. ``outcome`` is the answer to its handshake; ``stage`` how far it came: ``refused``, ``silent``
    (accepted, and then nothing of Engine.IO came), ``open``.
    """

    outcome: Outcome
    stage: Literal["refused", "silent", "open"]
    tag: str | None = None


def works(tries: Sequence[SocketTry]) -> bool:
    """Whether a WebSocket can be used, if not always."""
    return any(each.stage == "open" for each in tries)


def judge_websocket(tries: Sequence[SocketTry]) -> Finding:
    """Whether clients can begin with a WebSocket."""
    good = [each for each in tries if each.stage == "open"]
    bad = [each for each in tries if each.stage != "open"]
    facts = {"tried": len(tries), "open": len(good)}
    if not bad:
        nodes = Counter(each.tag for each in good if each.tag is not None)
        spread = f" on {shares(nodes)}" if nodes else ""
        return ok("websocket", f"{count(len(good), 'WebSocket')} opened at once{spread}", nodes=dict(nodes), **facts)
    first = bad[0]
    if not good and engine_code(first.outcome) == TRANSPORT_UNKNOWN:
        return ok(
            "websocket", "the server serves no WebSocket (its option transports): clients stay on polling", **facts
        )
    if good:
        text = f"{len(bad)} of {count(len(tries), 'WebSocket')} failed: {_how(first)}"
        if all(isinstance(each.outcome, Answer) and each.outcome.status == 503 for each in bad):
            advice = (
                "a node is full or drains, or max_handshakes_per_second_per_address is low for users behind one address"
            )
            return warning("websocket", text, advice, **facts)
        advice = "one of several proxies or nodes is set up differently, or full: compare them"
        return wrong("websocket", text, advice, **facts)
    text, advice = _diagnosis(first)
    return wrong("websocket", text, advice, **facts)


def _how(one: SocketTry) -> str:
    return "accepted, but nothing comes" if one.stage == "silent" else summary(one.outcome)


def _diagnosis(one: SocketTry) -> tuple[str, str]:
    outcome = one.outcome
    if one.stage == "silent":
        return "the handshake is answered, but nothing comes behind it", _SILENT
    if engine_code(outcome) == BAD_REQUEST or (isinstance(outcome, Answer) and outcome.status == 426):
        return "the request reaches a node without its Upgrade header: a proxy takes it away", _HEADERS
    if isinstance(outcome, Answer) and engine_code(outcome) is None and outcome.status in (400, 403, 405, 501):
        return f"{summary(outcome)}: {speaker(outcome) or 'a proxy'} lets no WebSocket through", _HEADERS
    return f"no WebSocket can be opened: {summary(outcome)}", _LOG


def judge_upgrade(tries: Sequence[SocketTry], direct: bool, offered: bool, sticky: bool) -> Finding:
    """Whether a polling session can move to a WebSocket, as browsers do.

    ``direct``: a WebSocket can be opened; ``offered``: the server offers the move; ``sticky``: polling sessions stay.
    """
    if not offered:
        return ok("upgrade", "the server offers no move from polling to WebSocket (allow_upgrades, transports)")
    if not direct:
        return skipped("upgrade", "no WebSocket can be opened")
    if not sticky:
        return skipped("upgrade", "polling sessions lose their node: see stickiness")
    bad = [each for each in tries if each.stage != "open"]
    facts = {"tried": len(tries), "upgraded": len(tries) - len(bad)}
    if not bad:
        return ok("upgrade", f"{count(len(tries), 'polling session')} moved to WebSocket", **facts)
    text = f"{len(bad)} of {count(len(tries), 'polling session')} could not move to WebSocket: {_how(bad[0])}"
    if any(engine_code(each.outcome) == SID_UNKNOWN for each in bad):
        advice = "the request for the WebSocket of a session must go to its node as well: use the same rule for both"
        return wrong("upgrade", text, advice, **facts)
    return warning("upgrade", text, _LOG, **facts)

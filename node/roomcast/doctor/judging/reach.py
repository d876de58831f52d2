"""Is there an answer, by whom, over what, and is it Engine.IO's: the first look at a deployment."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from roomcast.doctor.answers import (
    BAD_REQUEST,
    NODE_HEADER,
    TRANSPORT_UNKNOWN,
    Answer,
    Outcome,
    Trouble,
    engine_code,
    speaker,
    summary,
)
from roomcast.doctor.findings import Finding, ok, skipped, warning, wrong
from roomcast.doctor.packets import Opened
from roomcast.doctor.target import Target
from roomcast.doctor.wording import count, duration, listed

LONG_PING: Final = 60.0
"""Seconds after which proxies cut what is idle unless they are told otherwise (nginx, HAProxy's examples, clouds)."""
SOON: Final = 14.0
"""Days before its end at which a certificate should have been renewed: most are renewed 30 days before."""
_AWAY: Final = frozenset({502, 503, 504})
_MOVED: Final = frozenset({301, 302, 303, 307, 308})


class TlsSeen(msgspec.Struct, frozen=True):
    """``version`` that was agreed upon, ``days`` that the certificate is still valid, or the ``fault`` it has."""

    version: str = ""
    days: float | None = None
    fault: str | None = None


class FirstLook(msgspec.Struct, frozen=True):
    """``outcome`` of the request that opens a polling session, and what it opened, if not by polling then by WebSocket
    (``opened``); ``elsewhere`` are other paths at which an Engine.IO server answered.
    """

    target: Target
    outcome: Outcome
    opened: Opened | None = None
    tls: TlsSeen | None = None
    elsewhere: tuple[str, ...] = ()


def judge_reach(look: FirstLook) -> Finding:
    """Whether anything answers there."""
    target, outcome = look.target, look.outcome
    place = f"{target.host}:{target.port}"
    if isinstance(outcome, Trouble):
        return wrong("reachable", f"{place}: {summary(outcome)}", _REMEDIES[outcome.kind], kind=outcome.kind)
    if look.tls is not None and look.tls.fault is not None:
        advice = (
            f"browsers refuse it: renew it, let it name {target.host}, and let it come with the certificates between"
            " it and its authority; for an authority of your own say --ca FILE"
        )
        return wrong("reachable", f"the certificate of {place} is not accepted: {look.tls.fault}", advice, tls=False)
    if outcome.status == 400 and b"HTTPS" in outcome.body and not target.secure:
        return wrong("reachable", f"{place} speaks TLS, and was spoken to without", "use https:// in the URL")
    if outcome.status in _MOVED:
        return _moved(outcome)
    return _reached(look, outcome)


def _moved(outcome: Answer) -> Finding:
    where = urlsplit(outcome.header("location") or "")
    place = f"{where.scheme}://{where.netloc.rpartition('@')[2]}" if where.netloc else where.path or "nowhere"
    text = f"{summary(outcome)}: it sends clients on to {place}"
    return wrong("reachable", text, f"give clients {place} at once: WebSockets follow no redirection")


def _reached(look: FirstLook, outcome: Answer) -> Finding:
    time = duration(outcome.seconds)
    if look.tls is None:
        how = "without TLS" if look.target.host not in ("127.0.0.1", "localhost", "::1") else "on this machine"
        return ok("reachable", f"answers in {time}, {how}", seconds=outcome.seconds)
    days = look.tls.days
    facts = {"seconds": outcome.seconds, "tls": look.tls.version, "certificate_days": days}
    if days is not None and days < SOON:
        left = count(int(days), "day")
        return warning("reachable", f"the certificate ends in {left}", "renew it", **facts)
    valid = "" if days is None else f", the certificate is valid for {count(int(days), 'day')} more"
    return ok("reachable", f"answers in {time} over {look.tls.version}{valid}", **facts)


_REMEDIES: Final = {
    "name": "check the name, and its record in the DNS",
    "refused": "start the balancer there, or correct the port",
    "unreachable": "check the address, the route and the firewall",
    "silent": "a firewall drops what is sent, or whoever listens there hangs: check address, port and firewall",
    "tls": "if this port speaks plain HTTP, use http:// in the URL; else look at the TLS settings of the balancer",
    "certificate": "renew the certificate, or say --ca FILE for an authority of your own",
    "cut": "whoever listens there closes without an answer: look at the log of the balancer",
    "garbled": "check the port: something else than the balancer listens there",
}


def judge_path(look: FirstLook) -> Finding:
    """Whether what answers is Engine.IO."""
    outcome, path = look.outcome, look.target.path
    if look.opened is not None:
        return _opened(look, outcome)
    if isinstance(outcome, Trouble):
        return skipped("path", "there is no answer")
    if engine_code(outcome) is not None:
        advice = "it is an Engine.IO server that opens no session: see its log"
        if engine_code(outcome) == BAD_REQUEST:
            advice = (
                "a proxy takes the query away or the server speaks no Engine.IO 4: compare what arrives at the node"
            )
        return wrong("path", f"{path}: {summary(outcome)}", advice, status=outcome.status)
    if outcome.status in _AWAY:
        return _away(outcome)
    if look.elsewhere:
        found = listed(look.elsewhere)
        advice = (
            f"let the proxy pass {path} on unchanged, or give clients the path that answers:"
            f' io(url, {{ path: "{look.elsewhere[0]}" }})'
        )
        return wrong(
            "path", f"{path}: {summary(outcome)}; Engine.IO answers at {found}", advice, elsewhere=list(look.elsewhere)
        )
    advice = (
        f"the path of clients, of the proxy's rule and of the server (socketio_path) must be the same, and the proxy"
        f" must pass {path} on unchanged: in nginx, proxy_pass without a path behind the address"
    )
    return wrong("path", f"{path}: {summary(outcome)}, which is no Engine.IO", advice, status=outcome.status)


def _away(outcome: Answer) -> Finding:
    later = outcome.header("retry-after")
    if outcome.status == 503 and later is not None:
        text = f"{summary(outcome)}, Retry-After {later}: the node takes no more sessions"
        advice = (
            "it drains, is full (max_sessions) or hears too many handshakes (max_handshakes_per_second): see its log"
        )
        return wrong("path", text, advice, status=outcome.status)
    text = f"{summary(outcome)}: the balancer reaches no node"
    advice = "start the nodes, and compare their addresses and their health check (/readyz) with the balancer's file"
    return wrong("path", text, advice, status=outcome.status)


def _opened(look: FirstLook, outcome: Outcome) -> Finding:
    path = look.target.path
    if engine_code(outcome) == TRANSPORT_UNKNOWN:
        return ok("path", f"{path} is Engine.IO 4 without polling: clients must ask for WebSocket alone", polling=False)
    front = speaker(outcome) if isinstance(outcome, Answer) else ""
    return ok("path", f"{path} is Engine.IO 4" + (f", answered through {front}" if front else ""), polling=True)


def judge_version(look: FirstLook, tags: list[str]) -> Finding:
    """Who serves there; ``tags`` are what stood in ``X-Roomcast-Node``, or at the beginning of each sid."""
    opened = look.opened
    if opened is None:
        return skipped("version", "no session was opened")
    named = isinstance(look.outcome, Answer) and look.outcome.header(NODE_HEADER) is not None
    times = f"pings each {opened.ping_interval:g} s and waits {opened.ping_timeout:g} s for the answer"
    facts = {"roomcast": named, "ping_interval": opened.ping_interval, "ping_timeout": opened.ping_timeout}
    if opened.ping_interval >= LONG_PING:
        advice = (
            f"set ping_interval below {LONG_PING:g} s: proxies cut what was quiet for that long, unless told not to"
        )
        return warning("version", times, advice, **facts)
    if named:
        return ok("version", f"roomcast; it {times}", **facts)
    if len(set(tags)) < len(tags):
        text = f"roomcast, by its sids, but X-Roomcast-Node does not come through; it {times}"
        advice = (
            "let every proxy pass X-Roomcast-Node on: a balancer in front of it learns from it where clients belong"
        )
        return warning("version", text, advice, **facts)
    return ok("version", f"no node says that it is roomcast; it {times}", **facts)

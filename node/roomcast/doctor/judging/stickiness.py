"""Does every request of a polling session come to the node that has the session?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from roomcast.doctor.answers import SID_UNKNOWN, Answer, Outcome, engine_code, summary
from roomcast.doctor.findings import Finding, ok, skipped, warning, wrong
from roomcast.doctor.wording import count, listed, shares

# A session that lost its node a few times of many shows that too: one is enough to make a client start anew.
_ADVICE: Final = (
    "let the balancer keep each session on its node: by a cookie, or, for clients without cookies too, by the first"
    " four characters of sid=, which are the node's name (X-Roomcast-Node of the first answer), as the files in"
    " loadbalancer/ do"
)
_WITHOUT_COOKIES: Final = (
    "apps, scripts, and pages of other sites without withCredentials keep no cookies: route by the first four"
    " characters of sid= (the files in loadbalancer/ do), or let those clients use WebSocket alone"
)


class PolledSession(msgspec.Struct, frozen=True):
    """One session: ``outcome`` of the request that opened it, then its requests, each on a connection of its own.

    ``tag`` is its node's; ``keeps_cookies`` whether it sent back what it was told to, ``got_cookies`` whether that was
    anything; ``outcomes`` are those of its requests.
    """

    outcome: Outcome
    tag: str | None = None
    keeps_cookies: bool = False
    got_cookies: bool = False
    outcomes: tuple[Outcome, ...] = ()

    @property
    def opened(self) -> bool:
        """Whether there was a session at all."""
        return isinstance(self.outcome, Answer) and self.outcome.status == 200

    @property
    def lost(self) -> int:
        """Requests that came to a node which does not know the session."""
        return sum(engine_code(outcome) == SID_UNKNOWN for outcome in self.outcomes)

    @property
    def failed(self) -> list[Outcome]:
        """Requests that failed otherwise."""
        return [
            outcome
            for outcome in self.outcomes
            if not (isinstance(outcome, Answer) and outcome.status == 200) and engine_code(outcome) != SID_UNKNOWN
        ]


class Stickiness(msgspec.Struct, frozen=True):
    """What the other checks need to know: whether sessions stay, ``needs_cookies`` for that, and whom they met."""

    holds: bool
    needs_cookies: bool
    tags: tuple[str, ...]


def stickiness(sessions: Sequence[PolledSession]) -> Stickiness:
    """What the sessions show."""
    kept = [session for session in sessions if session.opened and session.keeps_cookies]
    bare = [session for session in sessions if session.opened and not session.keeps_cookies]
    holds = any(session.opened for session in sessions) and not any(session.lost for session in kept)
    return Stickiness(
        holds,
        holds and any(session.lost for session in bare),
        tuple(session.tag for session in sessions if session.tag is not None),
    )


def judge_stickiness(sessions: Sequence[PolledSession]) -> Finding:
    """Whether sessions stay where they are, for whom, and how they are spread."""
    opened = [session for session in sessions if session.opened]
    refused = [session.outcome for session in sessions if not session.opened]
    if not opened:
        if not refused:
            return skipped("stickiness", "the server does not serve polling")
        return wrong(
            "stickiness", f"no polling session could be opened: {summary(refused[0])}", "look at the log of the node"
        )
    lost = sum(session.lost for session in opened)
    asked = sum(len(session.outcomes) for session in opened)
    seen = stickiness(sessions)
    nodes = Counter(seen.tags)
    facts = {"sessions": len(opened), "requests": asked, "lost": lost, "nodes": dict(nodes)}
    if not seen.holds:
        losers = sum(session.lost > 0 for session in opened)
        text = (
            f"{losers} of {count(len(opened), 'polling session')} lost their node: {lost} of"
            f' {count(asked, "request")} came to another one ("Session ID unknown")'
        )
        return wrong("stickiness", text, _ADVICE, **facts)
    if seen.needs_cookies:
        text = f"only sessions with cookies stay on their node: {lost} of {count(asked, 'request')} came to another one"
        return warning("stickiness", text, _WITHOUT_COOKIES, **facts)
    failed = [outcome for session in opened for outcome in session.failed]
    if failed:
        text = f"{len(failed)} of {count(asked, 'request')} failed: {listed(sorted(set(map(summary, failed))))}"
        return wrong("stickiness", text, "look at the logs of the balancer and the nodes", **facts)
    if refused:
        text = f"{len(refused)} of {count(len(sessions), 'session')} were refused: {summary(refused[0])}"
        advice = (
            "a node is full or drains, or max_handshakes_per_second_per_address is low for users behind one address"
        )
        return warning("stickiness", text, advice, **facts)
    return _held(len(opened), asked, nodes, facts)


def _held(sessions: int, asked: int, nodes: Counter[str], facts: dict[str, object]) -> Finding:
    text = f"{count(asked, 'request')} of {count(sessions, 'polling session')} came to the node of the session"
    if len(nodes) > 1:
        return ok("stickiness", f"{text}, with and without cookies; sessions by node: {shares(nodes)}", **facts)
    if not nodes:
        return ok("stickiness", f"{text}; the nodes do not tell their names", **facts)
    text += (
        f", all of them to {next(iter(nodes))}: there is one node, or the balancer goes by the client's address, and"
        " users behind one address share a node"
    )
    return ok("stickiness", text, **facts)

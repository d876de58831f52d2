"""Do idle connections live longer than the server's ping interval, and what has to happen at once: does it?"""

from __future__ import annotations

from typing import Final

import msgspec

from roomcast.doctor.answers import Answer, Ending, summary
from roomcast.doctor.findings import Finding, ok, skipped, warning, wrong
from roomcast.doctor.judging.entry import Entry
from roomcast.doctor.wording import count, duration

IDLE_WEBSOCKET: Final = "idle websocket"
HELD_POLL: Final = "held poll"
_NAMES: Final = {IDLE_WEBSOCKET: "an idle WebSocket", HELD_POLL: "a held poll"}

LATE: Final = 2.0
"""Seconds that are longer than any network needs: something waits."""
_AGE: Final = 0.9
"""With less than this share of the ping interval of silence before the end, it was not silence that ended it."""
_NEAR: Final = 0.25
"""A silence that differs from the ping time-out by no more than this share of it is taken for one."""


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """An idle session, watched. Times in seconds; ``silence`` is what had passed since the last packet when it ended,
    ``longest`` the longest silence. ``ending`` is None if it lived until nobody looked any more.
    """

    ping_interval: float
    ping_timeout: float
    lived: float
    silence: float = 0.0
    longest: float = 0.0
    pings: int = 0
    ending: Ending | None = None


def judge_watch(check: str, watch: Watch | None, why_not: str = "") -> Finding:
    """Whether it lived. ``why_not`` it was not looked at, where there is no watch."""
    if watch is None:
        return skipped(check, why_not)
    name = _NAMES[check]
    facts = {"lived": round(watch.lived, 1), "pings": watch.pings, "longest_silence": round(watch.longest, 1)}
    if watch.ending is not None:
        text, advice = _ended(name, watch, watch.ending)
        return wrong(check, text, advice, cut_after=round(watch.silence, 1), **facts)
    if not watch.pings:
        text = f"{name} lived {duration(watch.lived)}, but the server's first ping comes only after"
        text += f" {duration(watch.ping_interval)}"
        advice = (
            f"say --wait {2 * watch.ping_interval + 5:.0f} to see whether it lives that long, or lower ping_interval"
        )
        return warning(check, text, advice, **facts)
    lived = f"{name} lived {duration(watch.lived)}, {count(watch.pings, 'ping')} came and was answered"
    if watch.pings > 1:
        lived = lived.replace(" was ", " were ")
    if watch.longest < _AGE * watch.ping_interval:
        text = f"{lived}; it was never quiet for more than {duration(watch.longest)}, so shorter time-outs are not seen"
        return ok(check, text, **facts)
    return ok(check, f"{lived}; the longest silence was {duration(watch.longest)}", **facts)


def _ended(name: str, watch: Watch, ending: Ending) -> tuple[str, str]:
    """What ended it, and what to do."""
    if ending.how == "closed":
        if watch.pings and abs(watch.silence - watch.ping_timeout) < _NEAR * watch.ping_timeout:
            text = f"the server closed {name} after {duration(watch.lived)}: it did not get the answer to its ping"
            return text, "what clients send does not come through to the node: look at the logs of the proxies"
        text = f"the server closed {name} after {duration(watch.lived)}"
        return text, "a node stopped, or closes sessions: see its log, and look again"
    if watch.pings and watch.silence < _AGE * watch.ping_interval:
        text = f"{name} was cut after {duration(watch.lived)}, {duration(watch.silence)} after its last packet"
        advice = "something on the way ends connections by their age, however busy: raise that limit to hours"
        return text, advice
    how = f"{summary(ending.outcome)} to {name}" if isinstance(ending.outcome, Answer) else f"{name} was cut"
    text = f"{how} after {duration(watch.silence)} of silence; the server pings each {duration(watch.ping_interval)}"
    least = watch.ping_interval + watch.ping_timeout
    advice = (
        f"raise the time-outs of every proxy above pingInterval + pingTimeout = {least:g} s (nginx: proxy_read_timeout,"
        " proxy_send_timeout; HAProxy: timeout client, timeout server, timeout tunnel), or set ping_interval well below"
        f" {duration(watch.silence)}"
    )
    return text, advice


class Promptness(msgspec.Struct, frozen=True, kw_only=True):
    """``poll`` seconds from what a client sent until the poll that it held was answered with the reply (None: it was
    not within ``limit``); ``socket`` the same over a WebSocket (None: not known). ``repeated`` sessions got a sid that
    another had got.
    """

    poll: float | None
    limit: float
    socket: float | None = None
    repeated: int = 0


def promptness(poll: Entry | None, socket: Entry | None, repeated: int) -> Promptness | None:
    """What joining a namespace by a held poll and by a WebSocket says about answers on the way; None for nothing."""
    if poll is None or poll.result == "closed":
        return Promptness(poll=0.0, limit=0.0, repeated=repeated) if repeated else None
    if poll.result == "silent":
        # If nothing comes over a WebSocket either, it is the application that does not answer.
        if socket is not None and socket.result == "silent":
            return None
        return Promptness(poll=None, limit=poll.seconds, repeated=repeated)
    answered = socket.seconds if socket is not None and socket.result in ("in", "refused") else None
    return Promptness(poll=poll.seconds, limit=0.0, socket=answered, repeated=repeated)


_BUFFERED: Final = (
    "let proxies pass answers on as they come (nginx: proxy_buffering off; proxy_request_buffering off) and several"
    " requests of one client side by side"
)


def judge_promptness(seen: Promptness | None, why_not: str = "") -> Finding:
    """Whether something on the way keeps answers, or gives old ones."""
    check = "buffering"
    if seen is None:
        return skipped(check, why_not)
    if seen.repeated:
        text = f"{count(seen.repeated, 'session')} got the answer of another: something on the way keeps answers"
        advice = "no cache may keep what is under the path of Socket.IO: two users would share a session"
        return wrong(check, text, advice, repeated=seen.repeated)
    if seen.poll is None:
        text = f"what the server had to say did not come through a held poll within {duration(seen.limit)}"
        return wrong(check, text, _BUFFERED)
    facts = {"poll_seconds": round(seen.poll, 3)}
    if seen.poll - (seen.socket or 0.0) > LATE:
        other = "" if seen.socket is None else f", over a WebSocket in {duration(seen.socket)}"
        return warning(check, f"a held poll was answered {duration(seen.poll)} late{other}", _BUFFERED, **facts)
    return ok(check, f"nothing keeps answers: a held poll was answered in {duration(seen.poll)}", **facts)

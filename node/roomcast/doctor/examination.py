"""The order of the checks: each stage observes, has it judged, and tells; what waits runs beside what asks.

Nothing in here decides what an observation means.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from roomcast.doctor.answers import Answer
from roomcast.doctor.findings import Finding, skipped, wrong
from roomcast.doctor.judging.broker import BrokerSeen, handshakes_needed, judge_broker, judge_emit, judge_nodes
from roomcast.doctor.judging.clock import judge_clock, offset
from roomcast.doctor.judging.entry import judge_entry
from roomcast.doctor.judging.origins import judge_origin
from roomcast.doctor.judging.reach import FirstLook, judge_path, judge_reach, judge_version
from roomcast.doctor.judging.stickiness import judge_stickiness, stickiness
from roomcast.doctor.judging.waiting import HELD_POLL, IDLE_WEBSOCKET, judge_promptness, judge_watch, promptness
from roomcast.doctor.judging.websockets import judge_upgrade, judge_websocket, works
from roomcast.doctor.options import Options
from roomcast.doctor.probing.asking import ask_as
from roomcast.doctor.probing.emitting import emit_to_clients
from roomcast.doctor.probing.entering import Door
from roomcast.doctor.probing.links import Link
from roomcast.doctor.probing.observing import Observer, Place
from roomcast.doctor.probing.polling import PollingLink
from roomcast.doctor.probing.promptness import poll_entry, socket_entry
from roomcast.doctor.probing.reach import first_look, make_client, now
from roomcast.doctor.probing.sessions import meet, try_sessions
from roomcast.doctor.probing.sockets import try_upgrades, try_websockets
from roomcast.doctor.probing.watching import watch
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.timing import (
    ACTIVE_SECONDS,
    BROKER_SECONDS,
    REACH_SECONDS,
    REQUEST_SECONDS,
    watching,
)
from roomcast.doctor.wording import duration
from roomcast.errors import SettingsError

T = TypeVar("T")
Tell = Callable[[Finding], None]

_QUICK = "--quick leaves out what takes long"


class Met(msgspec.Struct, frozen=True):
    """What the stage at the balancer leaves for the one at the broker."""

    tags: frozenset[str] = frozenset()
    sessions: int = 0
    polling: bool = False
    sockets: bool = False
    lets_in: bool = False


async def examine(options: Options, tell: Tell, most: float) -> None:
    """Look at everything, and tell each finding as soon as it is known; over after ``most`` seconds, come what may."""
    try:
        async with asyncio.timeout(most):
            await Examination(options, tell).run()
    except TimeoutError:
        tell(wrong("time", f"not done after {duration(most)}", "the deployment answers too slowly to be looked at"))


class Examination:
    """One look at one deployment."""

    def __init__(self, options: Options, tell: Tell) -> None:
        self._options = options
        self._tell = tell
        self._door = Door(options.namespace, options.auth, options.serializer)
        try:
            self._client = make_client(options.target, options.headers, options.authority)
        except OSError as error:
            raise SettingsError(f"--ca: this is no certificate ({error.strerror or 'not readable'})") from error

    async def run(self) -> None:
        """All stages."""
        async with contextlib.AsyncExitStack() as stack:
            observer = None
            if (place := self._place) is not None:
                observer = await stack.enter_async_context(Observer(place))
            look = await self._within("reachable", REACH_SECONDS, first_look(self._client))
            if look is None:
                return
            self._tell(judge_reach(look))
            self._tell(judge_path(look))
            date = offset(look.outcome, now()) if isinstance(look.outcome, Answer) else None
            met = Met()
            async with asyncio.TaskGroup() as group:
                if look.opened is None:
                    self._tell(skipped("all else", "there is no session to look at it with"))
                else:
                    found = await self._within("sessions", ACTIVE_SECONDS, self._at_balancer(look, group))
                    met = found or met
                seen = await self._within("broker", BROKER_SECONDS, self._at_broker(observer, met))
                nodes = {} if seen is None else {node.tag: node.offset for node in seen.heard}
                self._tell(judge_clock(date, nodes))

    # --- through the balancer -----------------------------------------------------------------------------------------

    async def _at_balancer(self, look: FirstLook, group: asyncio.TaskGroup) -> Met:
        """Everything that clients do. Idle sessions are watched in ``group``, while all else goes on."""
        client, opened = self._client, look.opened
        assert opened is not None
        self._watch(group, IDLE_WEBSOCKET, opened.ping_interval, self._open_websocket)
        polling = isinstance(look.outcome, Answer) and look.outcome.status == 200
        sessions, repeated = await try_sessions(client) if polling else ([], 0)
        stays = stickiness(sessions)
        self._tell(judge_version(look, list(stays.tags)))
        self._tell(judge_stickiness(sessions))
        if polling and stays.holds:
            self._watch(group, HELD_POLL, opened.ping_interval, self._open_polling)
        else:
            self._tell(judge_watch(HELD_POLL, None, _why_no_polling(polling)))
        tries = await try_websockets(client)
        sockets, offered = works(tries), "websocket" in opened.upgrades
        self._tell(judge_websocket(tries))
        if polling:
            upgrades = await try_upgrades(client) if sockets and offered and stays.holds else []
            self._tell(judge_upgrade(upgrades, sockets, offered, stays.holds))
        lets_in = await self._enter(polling, stays.holds, sockets, repeated)
        for origin in self._options.origins or (self._options.target.origin,):
            asked = await ask_as(client, origin, polling, sockets)
            self._tell(judge_origin(asked, stays.needs_cookies))
        tags = frozenset(stays.tags) | {each.tag for each in tries if each.tag is not None}
        return Met(tags, len(sessions) + len(tries), polling, sockets, lets_in)

    async def _enter(self, polling: bool, sticky: bool, sockets: bool, repeated: int) -> bool:
        """Join the namespace both ways; whether the application lets us in."""
        over_poll = await poll_entry(self._client, self._door) if polling and sticky else None
        over_socket = await socket_entry(self._client, self._door) if sockets else None
        entry = over_socket or over_poll
        self._tell(judge_entry(entry, self._options.auth is not None))
        if polling:
            seen = promptness(over_poll, over_socket, repeated)
            self._tell(judge_promptness(seen, "no reply could be waited for with a poll"))
        return entry is not None and entry.result == "in"

    def _watch(
        self, group: asyncio.TaskGroup, check: str, ping_interval: float, opener: Callable[[], Awaitable[Link | None]]
    ) -> None:
        if self._options.quick:
            self._tell(judge_watch(check, None, _QUICK))
            return
        seconds = watching(ping_interval, self._options.wait)
        group.create_task(self._watched(check, seconds, opener))

    async def _watched(self, check: str, seconds: float, opener: Callable[[], Awaitable[Link | None]]) -> None:
        async def look() -> Finding:
            link = await opener()
            if link is None:
                return judge_watch(check, None, "no session could be opened for it")
            return judge_watch(check, await watch(link, self._door, seconds))

        finding = await self._within(check, seconds + 2 * REQUEST_SECONDS, look())
        if finding is not None:
            self._tell(finding)

    async def _open_websocket(self) -> Link | None:
        return (await WebSocketLink.open(self._client))[1]

    async def _open_polling(self) -> Link | None:
        return (await PollingLink.open(self._client, cookies=True))[1]

    # --- through the broker -------------------------------------------------------------------------------------------

    @property
    def _place(self) -> Place | None:
        options = self._options
        return None if options.broker is None else Place(options.broker, options.cluster, options.keys)

    async def _at_broker(self, observer: Observer | None, met: Met) -> BrokerSeen | None:
        """Whether it is there, who is on it, and whether it reaches clients."""
        place = self._place
        if observer is None or place is None:
            self._tell(judge_broker(None))
            return None
        if not await observer.reach():
            seen = observer.seen()
            self._tell(judge_broker(seen))
            return seen
        self._tell(judge_broker(observer.seen()))
        await observer.hear(met.tags)
        tags, sessions = set(met.tags), met.sessions
        if met.polling and (missing := observer.tags - tags):
            more, made = await meet(self._client, missing, handshakes_needed(len(observer.tags)))
            tags, sessions = tags | more, sessions + made
        seen = observer.seen()
        self._tell(judge_nodes(seen, tags, sessions))
        targets = tags & observer.tags if met.lets_in else set()
        arrivals = await emit_to_clients(self._client, place, self._door, targets, met.sockets) if targets else []
        self._tell(judge_emit(arrivals, seen, met.lets_in))
        return seen

    # --- time ---------------------------------------------------------------------------------------------------------

    async def _within(self, check: str, seconds: float, stage: Awaitable[T]) -> T | None:
        """What the stage returns; None, which is told, if it takes longer than ``seconds``."""
        try:
            async with asyncio.timeout(seconds):
                return await stage
        except TimeoutError:
            advice = "the deployment answers too slowly: look at the load of balancer, nodes and broker"
            self._tell(wrong(check, f"not done within {duration(seconds)}", advice))
            return None


def _why_no_polling(polling: bool) -> str:
    return "polling sessions lose their node: see stickiness" if polling else "the server does not serve polling"

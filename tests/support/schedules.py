"""Random lives of a blocking server: eight tasks that connect, send, emit, ask, leave and stop, in any order.

Everything that is waited for is counted: an acknowledgement that a client is owed, a question of the server, the
disconnect handler behind each accepted connect. Which task goes on at each lock, queue and event is the seed's choice,
so every schedule can be played again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from roomcast.exceptions import DisconnectedError
from roomcast.exceptions import TimeoutError as CallTimeoutError
from tests.support.played_server import PlayedPoller, PlayedServer, PlayedWebSocket, TurnedAwayError
from tests.support.played_tasks import PlayedTasks

ACTORS = 8
STEPS = 12
LONG = 100.0
"""Seconds after which everything has ended by itself, if nothing else has ended it."""

PACKET = re.compile(r"4(?P<type>[23])(?P<id>\d*)(?P<rest>.*)", re.DOTALL)


class Visitor:
    """A client of either transport: reads everything that comes, answers questions if it is asked to, counts acks."""

    def __init__(self, schedule: Schedule, polls: bool) -> None:
        self.schedule = schedule
        self.acks: Counter[str] = Counter()
        self.questions: list[str] = []
        self.owed: list[str] = []
        self.gone = False
        self.sid = ""
        server = schedule.server
        self._client: PlayedPoller | PlayedWebSocket = server.poller() if polls else server.websocket()
        if isinstance(self._client, PlayedPoller):
            schedule.tasks.start(self._poll, self._client)

    def _poll(self, client: PlayedPoller) -> None:
        """One GET after another, as long as there is a session."""
        while (answer := self.schedule.server.request("GET", client.query)).status == 200:
            for packet in answer.packets:
                self._take(packet)
            if "1" in answer.packets:
                break
        self.gone = True

    def sends(self, *packets: str) -> None:
        """As a client does that does not know yet that it is being closed."""
        if isinstance(self._client, PlayedPoller):
            self.gone = self._client.posts(*packets).status != 200 or self.gone
        else:
            self._writes(lambda client: client.sends(*packets))

    def _writes(self, write: Callable[[PlayedWebSocket], None]) -> None:
        assert isinstance(self._client, PlayedWebSocket)
        try:
            write(self._client)
        except BrokenPipeError:
            self.gone = True

    def reads(self) -> None:
        """What has come over a WebSocket so far."""
        if isinstance(self._client, PlayedWebSocket):
            self._client._look()
            while self._client._packets:
                self._take(str(self._client._packets.popleft()))
            closed = self._client.closed_with is not None
            if closed and not self.gone:
                self._writes(PlayedWebSocket.closes)
            self.gone = self.gone or closed or self._client.sock.ended

    def _take(self, packet: str) -> None:
        if packet == "2":
            self.sends("3")
        elif packet.startswith("40{"):
            self.sid = packet.split('"')[3]
            self.schedule.sids.append(self.sid)
        elif (found := PACKET.match(packet)) is None:
            return
        elif found["type"] == "3":
            self.acks[found["id"]] += 1
        elif found["id"]:
            self.questions.append(found["id"])

    def answers(self) -> None:
        """Acknowledge what it was asked."""
        self.reads()
        questions, self.questions = self.questions, []
        for number in questions:
            if not self.gone:
                self.sends(f"43{number}[1]")

    def asks(self, event: str) -> None:
        """Send an event, and be owed an acknowledgement."""
        number = str(len(self.owed))
        self.owed.append(number)
        self.sends(f'42{number}["{event}",{number}]')

    def leaves(self, how: int) -> None:
        """By a packet for its namespace, by one for its session, or without a word."""
        if how == 0:
            self.sends("41")
        elif how == 1 or isinstance(self._client, PlayedPoller):
            self.sends("1")
        else:
            self._client.vanishes()
        self.gone = True


class Schedule:
    """One life. :meth:`plays` raises AssertionError for whatever is lost, left or stuck."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.tasks = PlayedTasks.at_random(seed + 1)
        in_order = self.random.random() < 0.3
        self.server = PlayedServer(
            self.tasks,
            async_handlers=not in_order,
            handler_threads=self.random.choice((2, 8)),
            drain_seconds=self.random.choice((0.0, 0.5)),
        )
        self.visitors: list[Visitor] = []
        self.sids: list[str] = []
        self.lives: Counter[str] = Counter()
        """Accepted connects less disconnect handlers, by sid."""
        self.asked = self.answered = 0
        self.stopped = False
        self._may_ask = not in_order
        self._register()

    def _register(self) -> None:
        sio = self.server.sio

        def connect(sid: str, environ: Any) -> bool:
            accepted = self.random.random() < 0.9
            if accepted:
                self.lives[sid] += 1
            return accepted

        def disconnect(sid: str, reason: str) -> None:
            self.lives[sid] -= 1

        def slow(sid: str, value: int) -> int:
            sio.sleep(0.01)
            return value

        def nested(sid: str, value: int) -> int:
            """Asks its client before it answers it."""
            self._ask(sid, 5.0)
            return value

        sio.on("connect", connect)
        sio.on("disconnect", disconnect)
        sio.on("echo", lambda sid, value: value)
        sio.on("slow", slow)
        sio.on("nested", nested if self._may_ask else slow)

    def _ask(self, sid: str, timeout: float) -> None:
        self.asked += 1
        try:
            self.server.sio.call("question", to=sid, timeout=timeout)
        except (DisconnectedError, CallTimeoutError):
            pass
        self.answered += 1

    # --- what an actor does -------------------------------------------------------------------------------------------

    def _act(self) -> None:
        """One of the eight."""
        own: list[Visitor] = []
        for _ in range(STEPS):
            self.random.choice(ACTS)(self, own)
            for _ in range(self.random.randrange(6)):
                self.tasks.point()
            for visitor in own:
                visitor.answers()

    def _connect(self, own: list[Visitor]) -> None:
        try:
            visitor = Visitor(self, self.random.random() < 0.5)
        except TurnedAwayError:
            return
        own.append(visitor)
        self.visitors.append(visitor)
        visitor.sends("40")

    def _send(self, own: list[Visitor]) -> None:
        for visitor in own:
            visitor.reads()
            if visitor.sid and not visitor.gone:
                visitor.asks(self.random.choice(("echo", "slow", "nested", "echo")))

    def _emit(self, own: list[Visitor]) -> None:
        target = self.random.choice((None, "room", *self.sids[-3:]))
        self.server.sio.emit("news", 1, to=target)

    def _enter(self, own: list[Visitor]) -> None:
        for sid in self.sids[-2:]:
            try:
                self.server.sio.enter_room(sid, "room")
            except (KeyError, ValueError):
                pass  # it has gone

    def _question(self, own: list[Visitor]) -> None:
        if self.sids and self._may_ask:
            self.tasks.start(self._ask, self.random.choice(self.sids), 60.0)

    def _callback(self, own: list[Visitor]) -> None:
        if self.sids:
            self.server.sio.emit("asked", to=self.random.choice(self.sids), callback=lambda *_: None)

    def _leave(self, own: list[Visitor]) -> None:
        if own and not own[-1].gone:
            own[-1].leaves(self.random.randrange(3))

    def _disconnect(self, own: list[Visitor]) -> None:
        if self.sids:
            self.server.sio.disconnect(self.random.choice(self.sids), close=self.random.random() < 0.5)

    def _stop(self, own: list[Visitor]) -> None:
        if self.random.random() < 0.05:
            self.server.sio.shutdown()
            self.stopped = True

    # --- the whole ----------------------------------------------------------------------------------------------------

    def plays(self) -> None:
        """Play it to its end, and look whether anything is lost or left."""
        actors = [self.tasks.start(self._act) for _ in range(ACTORS)]
        for actor in actors:
            actor.join()
        self._settle()
        for visitor in self.visitors:
            twice = [number for number, count in visitor.acks.items() if count > 1]
            assert not twice, f"acknowledged twice: {twice}"
            if not visitor.gone and not self.stopped and self.server.sio.manager.is_connected(visitor.sid, "/"):
                lost = [number for number in visitor.owed if visitor.acks[number] != 1]
                assert not lost, f"never acknowledged: {lost} of {len(visitor.owed)}"
        self.server.sio.shutdown()
        self._settle()
        self.tasks.pause(lambda: self.answered == self.asked, LONG)
        assert self.answered == self.asked, "a question has no end"
        assert not +self.lives, f"no disconnect handler for {+self.lives}"
        assert not -self.lives, f"too many disconnect handlers for {-self.lives}"
        left = self.server.left()
        assert not left, left
        self.tasks.others()
        assert not self.tasks.alive, self.tasks.alive
        self.tasks.check()

    def _settle(self) -> None:
        """Let everybody do what can be done, and all clients answer what they are asked, until no handler runs."""
        until = self.tasks.now + LONG
        while self.tasks.now < until:
            self.tasks.advance(1.0)
            before = self.tasks.now
            for visitor in self.visitors:
                visitor.answers()
            self.tasks.others()
            quiet = not self.server.runtime.pool.running and not any(each.questions for each in self.visitors)
            if quiet and self.tasks.now == before:
                break
        for visitor in self.visitors:
            visitor.reads()


ACTS: tuple[Callable[[Schedule, list[Visitor]], None], ...] = (
    Schedule._connect,
    Schedule._connect,
    Schedule._connect,
    Schedule._send,
    Schedule._send,
    Schedule._send,
    Schedule._emit,
    Schedule._enter,
    Schedule._question,
    Schedule._callback,
    Schedule._leave,
    Schedule._disconnect,
    Schedule._stop,
)

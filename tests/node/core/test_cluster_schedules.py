"""Whatever happens in whatever order, nobody gets what is not for him, or anything twice, and every wait ends once.

Random schedules over three nodes whose processes, clients and ways to the broker come and go, while applications emit,
ask, and move clients of all nodes in and out of rooms. What is lost on the way is not looked at here
(test_cluster_losses.py does).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from roomcast_brokers.contracts import Traits
from tests.support.world import Ending, Member, PlayedClient, World

TAGS = ("aaaa", "bbbb", "cccc")
ROOMS = ("x", "y", 7, "bbbb0123456789abcdef")
"""The last one has the form of a sid of a node that lives, now and then."""
TIMEOUT = 8.0
LONGEST_WAIT = 70.0
"""Seconds: a callback on a room that nobody answers takes a minute."""

NODES, CLIENTS, SOME = st.integers(0, 2), st.integers(0, 30), st.integers(1, 4)
ROOM = st.sampled_from(ROOMS)
# A target: None, a room, a client by its number, or several of these.
ONE = st.tuples(st.just("room"), ROOM) | st.tuples(st.just("client"), CLIENTS)
TARGETS = st.none() | ONE | st.lists(ONE, max_size=3).map(tuple)
RARE = st.one_of(
    st.tuples(st.just("vanishes"), CLIENTS),
    st.tuples(st.just("closes room"), NODES, ROOM),
    st.tuples(st.just("disconnects"), NODES, CLIENTS, st.booleans()),
    st.tuples(st.just("enters sid"), NODES, CLIENTS, CLIENTS),
    st.tuples(st.just("breaks"), NODES, st.integers(0, 3)),
    st.tuples(st.just("breaks in flight"), NODES, TARGETS, st.integers(0, 3)),
    st.tuples(st.just("comes back"), NODES),
    st.tuples(st.just("dies"), NODES),
    st.tuples(st.just("ends"), NODES),
    st.tuples(st.just("time"), st.sampled_from([0.25, 1.0, 5.0])),
)
FREQUENT = st.one_of(
    st.tuples(st.just("starts"), NODES),
    st.tuples(st.just("connects"), NODES),
    st.tuples(st.just("emits"), NODES, TARGETS, st.none() | CLIENTS),
    st.tuples(st.just("asks"), NODES, ONE, st.booleans()),
    st.tuples(st.just("enters"), NODES, CLIENTS, ROOM),
    st.tuples(st.just("leaves room"), NODES, CLIENTS, ROOM),
    st.tuples(st.just("moves"), NODES, SOME),
    st.tuples(st.just("settles")),
)
ACTIONS = st.one_of(FREQUENT, FREQUENT, FREQUENT, RARE)


class Guest:
    """A client, and the messages that it got. ``answers`` is whether it answers questions."""

    def __init__(self, client: PlayedClient, answers: bool) -> None:
        self.client = client
        self.answers = answers
        self.heard: list[int] = []
        self.member: Member = client.member

    @property
    def rooms(self) -> set[Any]:
        return set(self.member.rooms(self.client))


class Schedule:
    """What happens, and what was emitted, asked and heard so far."""

    def __init__(self, traits: Traits) -> None:
        self.world = World(traits)
        self.members: list[Member | None] = list(self.world.nodes(*TAGS))
        self.guests: list[Guest] = []  # all that ever were
        self.here: list[Guest] = []  # whose node lives and has not seen them off
        self.emitted: list[tuple[str, Any, str | None]] = []  # epoch of whom, target in names, skipped
        self.endings: list[tuple[Member, Ending]] = []
        self.moving: set[tuple[str, Any]] = set()  # rooms that somebody may be put into at any moment
        for node in (0, 1, 2) * 2:
            self._connects(node)
        for guest in self.guests:
            guest.member.enter(guest.client.sid, "x")
        self._settles()

    def does(self, action: tuple[Any, ...]) -> None:
        name, *args = action
        before = [guest.rooms for guest in self.here]
        getattr(self, f"_{name.replace(' ', '_')}")(*args)
        self.listen(before)

    # --- clients and processes ----------------------------------------------------------------------------------------

    def _connects(self, node: int) -> None:
        member = self.members[node]
        if member is not None:
            guest = Guest(member.client(), answers=len(self.guests) % 3 != 2)
            self.guests.append(guest)
            self.here.append(guest)

    def _guest(self, number: int) -> Guest:
        return self.guests[number % len(self.guests)]

    def _vanishes(self, number: int) -> None:
        guest = self._guest(number)
        if guest in self.here:
            guest.client.vanishes()
            self._see_off()

    def _see_off(self) -> None:
        self.here = [
            guest
            for guest in self.here
            if guest.member.node.hub.find(guest.client.sid, "/") and guest.member in self.members
        ]

    def _dies(self, node: int) -> None:
        self._stops(node, lambda member: member.dies())

    def _ends(self, node: int) -> None:
        self._stops(node, lambda member: member.leaves())

    def _stops(self, node: int, stop: Any) -> None:
        member = self.members[node]
        if member is not None:
            stop(member)
            self.members[node] = None
            self._see_off()
            # What it waited for is nobody's any more, unless it could say so.
            self.endings = [(asker, ending) for asker, ending in self.endings if asker is not member or ending.ends]

    def _starts(self, node: int) -> None:
        if self.members[node] is None:
            self.members[node] = self.world.node(TAGS[node])

    # --- the application ----------------------------------------------------------------------------------------------

    def _name(self, one: tuple[str, Any]) -> Any:
        kind, what = one
        return what if kind == "room" else self._guest(what).client.sid

    def _target(self, to: Any) -> Any:
        if to is None:
            return None
        return self._name(to) if to[:1] in (("room",), ("client",)) else [self._name(one) for one in to]

    def _emits(self, node: int, to: Any, skip: int | None) -> None:
        member = self.members[node]
        if member is not None:
            target = self._target(to)
            skipped = None if skip is None else self._guest(skip).client.sid
            self.emitted.append((member.tag, target, skipped))
            member.emit("message", len(self.emitted) - 1, to=target, skip=skipped)

    def _asks(self, node: int, to: tuple[str, Any], callback: bool) -> None:
        member = self.members[node]
        if member is not None:
            target, number = self._name(to), len(self.emitted)
            self.emitted.append((member.tag, target, None))
            if callback:
                self._waits(member, member.emit_with_callback("message", number, target))
            else:
                self._waits(member, member.ask("message", number, target, TIMEOUT))

    def _waits(self, member: Member, ending: Ending) -> None:
        self.endings.append((member, ending))

    def _enters(self, node: int, number: int, room: Any) -> None:
        member, guest = self.members[node], self._guest(number)
        if member is None:
            return
        self.moving.add((guest.client.sid, room))
        try:
            self._waits(member, member.enter(guest.client.sid, room))
        except (KeyError, ValueError):
            assert guest.client.sid[:4] == member.tag, "of other nodes nothing is known at once"

    def _enters_sid(self, node: int, number: int, other: int) -> None:
        guest, sid = self._guest(number), self._guest(other).client.sid
        member = self.members[node]
        if guest.client.sid == sid or guest not in self.here or self._guest(other) not in self.here:
            return
        if member is not None and all(each and len(each.peers) == 2 for each in self.members):
            try:
                self._waits(member, member.enter(guest.client.sid, sid))
            except (KeyError, ValueError):
                pass

    def _leaves_room(self, node: int, number: int, room: Any) -> None:
        member = self.members[node]
        if member is not None:
            member.leave(self._guest(number).client.sid, room)

    def _closes_room(self, node: int, room: Any) -> None:
        member = self.members[node]
        if member is not None:
            member.close_room(room)

    def _disconnects(self, node: int, number: int, close: bool) -> None:
        member = self.members[node]
        if member is not None:
            member.disconnect(self._guest(number).client.sid, close=close)
            self._see_off()

    # --- the broker ---------------------------------------------------------------------------------------------------

    def _moves(self, node: int, count: int) -> None:
        """A few steps of one node's way."""
        member = self.members[node]
        for number in range(count if member is not None else 0):
            assert member is not None
            self._turn(member, number)

    def _turn(self, member: Member, position: int = 0) -> bool:
        before = [guest.rooms for guest in self.here]
        moved = member.flush()
        self.listen(before)
        way = member.way
        if not way.up:
            return moved
        moved |= any((way.answer_request(), way.take(position), way.tell_receipts()))
        before = [guest.rooms for guest in self.here]
        moved |= way.give()
        self.listen(before)
        return moved

    def _breaks(self, node: int, arrived: int) -> None:
        member = self.members[node]
        if member is not None:
            member.way.break_off(arrived)

    def _breaks_in_flight(self, node: int, to: Any, arrived: int) -> None:
        """Something is handed over, it arrives or does not, and there is no receipt."""
        self._settles()
        self._emits(node, to, None)
        member = self.members[node]
        if member is not None:
            member.flush()
            member.way.break_off(arrived)

    def _comes_back(self, node: int) -> None:
        member = self.members[node]
        if member is not None and not member.way.up:
            member.way.restore()

    def _time(self, seconds: float) -> None:
        until = self.world.now + seconds
        while self.world.now < until:
            self.world.advance(0.25, settling=False)
            self._settles()

    def _settles(self) -> None:
        living = [member for member in self.members if member is not None]
        for member in living:
            if not member.way.up and not member.way.cut:
                member.way.restore()
        moved = True
        while moved:
            moved = False
            for member in living:
                moved |= self._turn(member)
        self._see_off()
        if all(member.way.up for member in living):
            self.moving.clear()

    # --- what must hold -----------------------------------------------------------------------------------------------

    def listen(self, before: list[set[Any]]) -> None:
        """Whatever clients got just now was emitted, was for them, and was not theirs already."""
        for guest, rooms in zip(self.here, before, strict=False):
            for event in guest.client.events():
                _, number = event.args
                self._check(guest, number, rooms | guest.rooms)
                guest.heard.append(number)
                if event.ack_id is not None and guest.answers:
                    guest.client.answers(event.ack_id, number)
        for _, ending in self.endings:
            assert len(ending.ends) <= 1, "it has ended twice"

    def _check(self, guest: Guest, number: int, rooms: set[Any]) -> None:
        assert number not in guest.heard, "twice"
        _, target, skipped = self.emitted[number]
        sid = guest.client.sid
        assert sid != skipped
        if target is not None:
            names = target if isinstance(target, list) else [target]
            moving = {room for who, room in self.moving if who == sid}
            assert sid in names or {*rooms, *moving} & {*names}, (target, rooms)

    def sids_are_no_rooms(self) -> None:
        sids = {guest.client.sid for guest in self.here}
        for guest in self.here:
            assert not guest.rooms & sids

    def ends(self) -> None:
        """All is well again, everybody leaves, and every wait is over."""
        for node in (0, 1, 2):
            self._comes_back(node)
        self._settles()
        for guest in list(self.here):
            guest.client.vanishes()
        self._see_off()
        self._time(10)
        self.world.advance(LONGEST_WAIT)
        assert self.here == []
        for _, ending in self.endings:
            assert len(ending.ends) == 1, "a wait that has not ended"
        for member in self.world.members:
            assert member.left() == {}, member.left()
            assert len(member.cluster.replies) == 0
        for (by, to), numbers in self._by_channel():
            assert numbers == sorted(numbers), f"from {by} to {to} out of order: {numbers}"

    def _by_channel(self) -> Iterator[tuple[tuple[str, str], list[int]]]:
        """What each client got of one node on one channel. A room that looks like a sid has two, and is left out."""
        for guest in self.guests:
            found: dict[tuple[str, str], list[int]] = {}
            for number in guest.heard:
                by, target, _ = self.emitted[number]
                if target != ROOMS[-1]:
                    found.setdefault((by, str(target)), []).append(number)
            yield from found.items()


def play(traits: Traits, actions: list[tuple[Any, ...]]) -> None:
    schedule = Schedule(traits)
    for action in actions:
        schedule.does(action)
        schedule.sids_are_no_rooms()
    schedule.ends()


TRAITS = {
    "ordered": Traits(ordered_across_channels=True),
    "unordered": Traits(),
    "sharded": Traits(ordered_across_channels=True, cheap_subscriptions=False),
    "silent": Traits(confirms_subscriptions=False),
    "durable": Traits(ordered_across_channels=True, durable=True),
}
quick = hypothesis_settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
thorough = hypothesis_settings(quick, max_examples=1_000)


@pytest.mark.parametrize("name", TRAITS)
@quick
@given(actions=st.lists(ACTIONS, min_size=40, max_size=80))
def test_every_schedule_keeps_the_promises(name: str, actions: list[tuple[Any, ...]]) -> None:
    play(TRAITS[name], actions)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", TRAITS)
@thorough
@given(actions=st.lists(ACTIONS, min_size=60, max_size=150))
def test_every_long_schedule_keeps_the_promises(name: str, actions: list[tuple[Any, ...]]) -> None:
    play(TRAITS[name], actions)


@pytest.mark.parametrize("name", TRAITS)
def test_who_asks_a_node_that_has_just_come_is_told_of_its_break(name: str) -> None:
    play(TRAITS[name], [("breaks", 0, 0), ("asks", 1, ("client", 0), True)])

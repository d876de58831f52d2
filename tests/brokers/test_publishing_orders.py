"""The publish queue under every order of events: a broker that comes, goes, takes some of it and sometimes says so."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.messages import Envelope, Kind
from tests.support.queue_owner import (
    ABANDONED,
    ALL,
    DELIVERED,
    DROPPED,
    LOBBY,
    OTHER,
    READER,
    Owner,
    named,
)


class Broker(RuleBasedStateMachine):
    """One queue, and what is known of it without looking into it."""

    MAX_BYTES = 2_000

    def __init__(self) -> None:
        super().__init__()
        self.owner = Owner(up=False, max_bytes=self.MAX_BYTES)
        self.queue = self.owner.queue
        self.now = 0.0
        self.put: list[tuple[str, int | None]] = []  # in order: (name, ticket or None for control)
        self.handed: list[bytes] = []  # handed over in this connection and not accepted
        self.first_written: list[str] = []  # names, in the order in which they were first written
        self.bytes_of: dict[tuple[str, int, int], bytes] = {}
        self.next_seq: Counter[tuple[str, int]] = Counter()
        self.put_at: dict[str, float] = {}
        self.is_up = False
        self.is_held = False  # the broker is there, and what waits is held back
        self.overtaking: set[str] = set()  # control messages that did not wait for it
        self.woken_at_take = 0

    @rule(channel=st.sampled_from([ALL, LOBBY, OTHER]), size=st.sampled_from([0, 0, 10, 200, 700, 2_500]))
    def put_one(self, channel: str, size: int) -> None:
        name = f"m{len(self.put)}"
        self.put_at[name] = self.now
        expected = sum(ticket is not None for _, ticket in self.put) + 1
        self.put.append((name, expected))
        assert self.owner.put(channel, named(name, size), self.now) == expected

    @rule(channel=st.sampled_from([ALL, LOBBY]))
    def put_control(self, channel: str) -> None:
        name = f"m{len(self.put)}"
        self.put.append((name, None))
        if self.is_held:
            self.overtaking.add(name)
        self.queue.control(channel, Kind.PROBE, named(name))

    @rule()
    def take(self) -> None:
        self.woken_at_take = self.owner.woken
        taken = self.queue.take(self.now)
        assert self.is_up or self.is_held or not taken
        for channel, payload in taken:
            self.handed.append(payload)
            assert len(payload) <= MAX_MESSAGE_BYTES
            self.judge(READER.decode(channel, payload), payload)

    def judge(self, found: Envelope, payload: bytes) -> None:
        key = (found.channel, found.gen, found.seq)
        if not found.control and key in self.bytes_of:
            assert self.bytes_of[key] == payload, "a retry has the same bytes"
            return
        names = [msgspec.msgpack.decode(each.body)[0] for each in found.operations]
        self.first_written += [name for name in names if name not in self.overtaking]
        if not found.control:
            assert not self.is_held, "what was not written before is held back"
            self.bytes_of[key] = payload
            assert found.seq == self.next_seq[key[:2]] + 1, "numbers have no holes"
            self.next_seq[key[:2]] += len(found.operations)

    @precondition(lambda self: self.handed)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.handed)))
        del self.handed[:count]
        self.queue.accepted(count, self.now)

    @rule()
    def go(self) -> None:
        self.is_up = self.is_held = False
        self.handed.clear()
        self.queue.down(self.now)

    @rule()
    def come(self) -> None:
        self.is_up, self.is_held = True, False
        self.queue.up(self.now)

    @rule()
    def come_and_hold(self) -> None:
        self.is_held = not self.is_up
        self.queue.hold(self.now)

    @rule(step=st.sampled_from([0.1, 1.0, 6.0]))
    def wait(self, step: float) -> None:
        self.now += step

    @rule()
    def expire(self) -> None:
        self.queue.expire(self.now)
        due = self.queue.due()
        assert due is None or due > self.now

    @invariant()
    def nothing_is_lost_uncounted(self) -> None:
        queue = self.queue
        tickets = [ticket for _, ticket in self.put if ticket is not None]
        ends = Counter(self.owner.settled.values())
        assert len(tickets) == queue.waiting + queue.in_flight + sum(ends.values())
        assert ends[DELIVERED] == queue.published[Kind.EMIT]
        assert (ends[DROPPED], ends[ABANDONED]) == (queue.dropped, queue.abandoned)

    @invariant()
    def everything_is_written_in_the_order_in_which_it_was_put(self) -> None:
        numbers = [int(name[1:]) for name in self.first_written]
        assert numbers == sorted(set(numbers))
        written = set(self.first_written)
        for name, ticket in self.put:
            how = None if ticket is None else self.owner.settled.get(ticket)
            assert how not in (DELIVERED, ABANDONED) or name in written
            assert how is not DROPPED or name not in written

    @invariant()
    def bounds_are_kept(self) -> None:
        queue = self.queue
        if queue.in_flight_bytes > self.MAX_BYTES:
            assert sum(message.ticket > 0 for message in queue._in_flight) == 1
        # What surrounds the operations in their messages is not known before they are written.
        surroundings = sum(150 for message in queue._in_flight if message.ticket)
        allowed = 2 * self.MAX_BYTES + surroundings if self.is_up or self.is_held else self.MAX_BYTES
        in_flight = min(queue.in_flight_bytes, self.MAX_BYTES)
        assert queue.waiting_bytes + in_flight <= allowed
        assert queue.waiting_bytes == sum(len(each.data) for each in queue._waiting if each.put is not None) + sum(
            len(each.payload) for each in queue._retries
        )
        assert queue.in_flight_bytes == sum(len(each.payload) for each in queue._in_flight if each.ticket)

    @invariant()
    def whoever_can_take_something_was_told(self) -> None:
        queue = self.queue
        if self.is_up and not queue._full and (queue._waiting or queue._retries):
            assert self.owner.woken > self.woken_at_take
        if self.is_held and (queue._urgent or (queue._retries and not queue._full)):
            assert self.owner.woken > self.woken_at_take
        if queue._full:
            assert queue.in_flight_bytes


TestBroker = Broker.TestCase
TestBroker.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


class BrokerForLong(Broker):
    """The same, many times more."""


TestBrokerForLong = pytest.mark.long(BrokerForLong.TestCase)
TestBrokerForLong.settings = settings(max_examples=400, stateful_step_count=80, deadline=None)

"""What waits for the broker: in order, numbered once, retried as it was, bounded, and nothing lost uncounted."""

from __future__ import annotations

import pytest

from roomcast_brokers.codec import EnvelopeCodec, encode_body
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import MessageTooLargeError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Kind, Maker, Origin, Probe
from roomcast_brokers.publishing import MAX_IN_FLIGHT_BYTES, MAX_WAITING_AGE, PublishQueue, Settled, waiting_limits
from roomcast_brokers.sequences import Sequences
from tests.support.queue_owner import (
    ABANDONED,
    ALL,
    DELIVERED,
    DROPPED,
    LOBBY,
    ORIGIN,
    OTHER,
    READER,
    SENT_MS,
    Owner,
    named,
    names,
)

# -- out


def test_what_is_put_is_taken_and_ends_when_the_broker_has_it() -> None:
    owner = Owner()
    ticket = owner.queue.put(ALL, Kind.JOIN, b"\xc0", 1.0)
    assert (ticket, owner.woken, owner.queue.waiting, owner.queue.in_flight) == (1, 1, 1, 0)
    (found,) = owner.take(1.0)
    assert (found.origin, found.cluster, found.seq, found.sent_ms) == (ORIGIN, "shop", 1, SENT_MS)
    assert [(each.kind, each.made_by, bytes(each.body)) for each in found.operations] == [(Kind.JOIN, None, b"\xc0")]
    assert (owner.queue.waiting, owner.queue.in_flight, owner.take(1.0)) == (0, 1, [])
    owner.queue.accepted(1, 1.0)
    assert (owner.settled, owner.queue.in_flight, owner.queue.in_flight_bytes) == ({1: DELIVERED}, 0, 0)
    assert owner.queue.published[Kind.JOIN] == 1
    assert sum(owner.queue.published.values()) == 1


def test_only_consecutive_operations_for_one_channel_share_a_message() -> None:
    owner = Owner()
    for channel, name in ((ALL, "m1"), (LOBBY, "m2"), (ALL, "m3"), (ALL, "m4"), (LOBBY, "m5")):
        owner.put(channel, named(name))
    found = owner.take()
    assert names(found) == [(ALL, ["m1"]), (LOBBY, ["m2"]), (ALL, ["m3", "m4"]), (LOBBY, ["m5"])]
    assert [each.seq for each in found] == [1, 1, 2, 2]
    assert [one.mid for each in found for one in each.operations] == sorted(
        {one.mid for each in found for one in each.operations}
    )


def test_a_forwarded_operation_says_who_made_it() -> None:
    owner = Owner()
    maker = Maker("n3-_", bytes(8), 7)
    owner.queue.put(LOBBY, Kind.EMIT, b"\xc0", 0.0, maker)
    assert owner.take()[0].operations[0].made_by == maker


def test_a_message_holds_no_more_than_the_broker_carries() -> None:
    owner = Owner(KeyRing(["key"]))
    reader = EnvelopeCodec(Origin("n2-_", bytes(8)), "shop", KeyRing(["key"]))
    for number in range(30):
        owner.put(LOBBY, named(str(number), 150_000))
    taken = owner.queue.take(0.0)
    assert all(len(payload) <= MAX_MESSAGE_BYTES for _, payload in taken)
    assert names([reader.decode(*each) for each in taken]) == [
        (LOBBY, [str(number) for number in range(first, first + 6)]) for first in range(0, 30, 6)
    ]


def test_small_operations_share_a_message_up_to_its_end() -> None:
    owner = Owner()
    for _ in range(100_000):
        owner.put(ALL, bytes(30))
    sizes = [len(payload) for _, payload in owner.queue.take(0.0)]
    assert all(MAX_MESSAGE_BYTES - 200 < size <= MAX_MESSAGE_BYTES for size in sizes[:-1])


def test_whoever_takes_is_woken_once() -> None:
    owner = Owner()
    owner.put()
    owner.put()
    owner.queue.control(ALL, Kind.BEAT, b"\xc0")
    assert owner.woken == 1
    owner.take()
    owner.put()
    assert owner.woken == 2


def test_whoever_is_woken_may_take_at_once() -> None:
    owner = Owner()
    taken: list[tuple[str, bytes]] = []
    owner.queue.on_ready = lambda: taken.extend(owner.queue.take(0.0))
    assert [owner.put(), owner.put()] == [1, 2]
    assert len(taken) == 2


# -- size of one operation


def fits(queue: PublishQueue, size: int) -> bool:
    try:
        queue.check(OTHER, bytes(size))
    except MessageTooLargeError:
        return False
    return True


def test_what_is_too_large_is_refused_with_its_size() -> None:
    with pytest.raises(MessageTooLargeError) as caught:
        Owner().put(ALL, bytes(MAX_MESSAGE_BYTES))
    assert caught.value.limit == MAX_MESSAGE_BYTES < caught.value.size


@pytest.mark.parametrize("keys", [None, KeyRing(["key"])], ids=["unsigned", "signed"])
def test_what_fits_on_one_channel_fits_on_all_also_when_it_is_forwarded(keys: KeyRing | None) -> None:
    largest = next(size for size in range(MAX_MESSAGE_BYTES, 0, -1) if fits(Owner(keys).queue, size))
    assert largest > MAX_MESSAGE_BYTES - 250
    for channel in (ALL, LOBBY, OTHER):
        owner = Owner(keys)
        owner.queue.put(channel, Kind.EMIT, bytes(largest), 0.0, Maker("emit_008", bytes(8), 2**64 - 1))
        ((_, payload),) = owner.queue.take(0.0)
        assert MAX_MESSAGE_BYTES - 250 < len(payload) <= MAX_MESSAGE_BYTES
        with pytest.raises(MessageTooLargeError):
            owner.put(channel, bytes(largest + 1))
        with pytest.raises(MessageTooLargeError):
            owner.queue.check(channel, bytes(largest + 1))
        assert owner.put(channel) == 2  # what was refused has no ticket


# -- the broker is away


def test_while_the_broker_is_away_everything_waits_in_order() -> None:
    owner = Owner(up=False)
    for name in ("m1", "m2", "m3"):
        owner.put(LOBBY if name == "m2" else ALL, named(name))
    assert (owner.take(), owner.woken, owner.queue.waiting) == ([], 0, 3)
    owner.queue.up(1.0)
    assert owner.woken == 1
    assert names(owner.take(1.0)) == [(ALL, ["m1"]), (LOBBY, ["m2"]), (ALL, ["m3"])]


def test_what_was_in_flight_is_written_again_first_and_with_the_same_bytes() -> None:
    owner = Owner()
    for name in ("m1", "m2", "m3"):
        owner.put(LOBBY if name == "m2" else ALL, named(name))
    first = owner.queue.take(0.0)
    owner.queue.accepted(1, 0.0)
    owner.put(ALL, named("m4"))
    owner.queue.down(1.0)
    owner.queue.accepted(2, 1.0)  # too late: nobody knows
    assert (owner.settled, owner.queue.waiting, owner.queue.in_flight) == ({1: DELIVERED}, 3, 0)
    owner.put(ALL, named("m5"), 1.0)
    owner.queue.up(1.5)
    again = owner.queue.take(1.5)
    assert again[:2] == first[1:]
    found = [READER.decode(*each) for each in again]
    assert names(found) == [(LOBBY, ["m2"]), (ALL, ["m3"]), (ALL, ["m4", "m5"])]
    assert [each.seq for each in found] == [1, 2, 3]
    owner.queue.down(2.0)  # before anything was accepted
    owner.queue.up(2.1)
    assert owner.queue.take(2.1) == again
    owner.queue.accepted(3, 2.2)
    assert set(owner.settled.values()) == {DELIVERED}
    assert len(owner.settled) == 5


def test_states_may_be_told_twice() -> None:
    owner = Owner()
    owner.put()
    owner.queue.up(0.0)
    assert owner.woken == 1
    owner.take()
    owner.queue.down(0.0)
    owner.queue.down(0.0)
    assert owner.queue.waiting == 1


def test_more_receipts_than_messages_do_no_harm() -> None:
    owner = Owner()
    owner.put()
    owner.take()
    owner.queue.accepted(5, 0.0)
    assert owner.settled == {1: DELIVERED}


# -- control messages


def probe(token: int) -> bytes:
    return encode_body(Probe(token))


def test_control_messages_keep_their_place_and_are_accepted_like_others() -> None:
    owner = Owner()
    owner.put(ALL, named("m1"))
    owner.queue.control(ALL, Kind.BEAT, named("beat"))
    owner.put(ALL, named("m2"))
    found = owner.take()
    assert names(found) == [(ALL, ["m1"]), (ALL, ["beat"]), (ALL, ["m2"])]
    assert [(each.control, each.seq) for each in found] == [(False, 1), (True, 0), (False, 2)]
    owner.queue.accepted(2, 0.0)
    assert (owner.settled, owner.queue.in_flight) == ({1: DELIVERED}, 1)
    assert (owner.queue.published[Kind.EMIT], owner.queue.published[Kind.BEAT]) == (1, 1)


def test_control_messages_are_never_kept() -> None:
    owner = Owner()
    owner.queue.control(ALL, Kind.HELLO, named("hello"))
    owner.take()
    owner.put(ALL, named("m1"))
    owner.queue.control(ALL, Kind.BEAT, named("beat"))
    owner.queue.down(0.0)
    owner.queue.control(ALL, Kind.BEAT, named("another"))
    assert owner.queue.waiting == 1
    owner.queue.up(1.0)
    assert names(owner.take(1.0)) == [(ALL, ["m1"])]


def test_control_messages_wait_behind_retries() -> None:
    owner = Owner()
    owner.put(LOBBY, named("m1"))
    owner.take()
    owner.queue.down(0.0)
    owner.queue.up(0.0)
    owner.queue.control(ALL, Kind.HELLO, named("hello"))
    assert names(owner.take()) == [(LOBBY, ["m1"]), (ALL, ["hello"])]


# -- bounds


def test_no_more_than_the_bound_is_in_flight() -> None:
    owner = Owner(max_bytes=1_000)
    for number in range(4):
        owner.put(ALL if number % 2 else LOBBY, named(str(number), 400))
    owner.queue.control(ALL, Kind.BEAT, named("beat"))
    assert names(owner.take()) == [(LOBBY, ["0"])]
    assert owner.queue.in_flight_bytes <= 1_000
    assert (owner.take(), owner.woken) == ([], 1)
    owner.put(ALL, named("4"))
    assert owner.woken == 1  # there is nothing to be done before something is accepted
    owner.queue.accepted(1, 0.0)
    assert owner.woken == 2
    assert names(owner.take()) == [(ALL, ["1"])]
    for expected in (LOBBY, ALL):
        owner.queue.accepted(1, 0.0)
        assert owner.take()[0].channel == expected
    assert owner.queue.dropped == 0


def test_control_messages_go_whatever_is_in_flight() -> None:
    owner = Owner(max_bytes=1_000)
    owner.put(ALL, named("m1", 900))
    assert names(owner.take()) == [(ALL, ["m1"])]
    owner.queue.control(ALL, Kind.BEAT, named("beat"))
    assert names(owner.take()) == [(ALL, ["beat"])]


def test_a_message_that_is_larger_than_the_bound_goes_alone() -> None:
    owner = Owner(max_bytes=1_000)
    owner.put(ALL, named("m1", 1_500))
    owner.put(ALL, named("m2"))
    assert names(owner.take()) == [(ALL, ["m1"])]
    owner.queue.down(0.0)
    assert owner.settled == {1: ABANDONED}  # waiting it is too large


def test_a_larger_retry_goes_alone_too() -> None:
    owner = Owner(max_bytes=1_000)
    for name in ("m1", "m2"):
        owner.put(ALL if name == "m1" else LOBBY, named(name, 300))
    owner.take()
    owner.queue._max_bytes = 400
    owner.queue.down(0.0)
    assert owner.settled == {1: ABANDONED}
    owner.queue._max_bytes = 100
    owner.queue.up(0.0)
    assert names(owner.take()) == [(LOBBY, ["m2"])]


def test_retries_wait_for_each_other_too() -> None:
    owner = Owner(max_bytes=1_000)
    for name in ("m1", "m2"):
        owner.put(ALL if name == "m1" else LOBBY, named(name, 300))
    owner.take()
    owner.queue.down(0.0)
    owner.queue._max_in_flight = 500
    owner.queue.up(0.0)
    assert names(owner.take()) == [(ALL, ["m1"])]
    owner.queue.accepted(1, 0.0)
    assert names(owner.take()) == [(LOBBY, ["m2"])]


def test_while_the_broker_is_away_the_oldest_fall_out_when_too_much_waits() -> None:
    owner = Owner(max_bytes=1_000)
    owner.put(ALL, named("m1", 350))
    owner.take()
    owner.put(ALL, named("m2", 350))
    owner.queue.down(0.0)
    assert owner.settled == {}
    owner.put(ALL, named("m3", 350))
    assert owner.settled == {1: ABANDONED}
    owner.put(ALL, named("m4", 350))
    assert owner.settled == {1: ABANDONED, 2: DROPPED}
    assert (owner.queue.abandoned, owner.queue.dropped, owner.queue.waiting) == (1, 1, 2)
    assert owner.queue.waiting_bytes <= 1_000
    owner.queue.up(1.0)
    (found,) = owner.take(1.0)
    assert names([found]) == [(ALL, ["m3", "m4"])]
    assert found.seq == 2  # the second had no number; the first, which was written, is confessed by who missed it


def test_what_one_turn_of_the_loop_produces_does_not_fall_out() -> None:
    owner = Owner()
    for _ in range(10_000):
        owner.put(ALL, bytes(1_000))
    assert owner.queue.dropped == 0
    total = 0
    while taken := owner.queue.take(0.0):
        total += len(taken)
        owner.queue.accepted(len(taken), 0.0)
    assert (owner.queue.published[Kind.EMIT], owner.queue.waiting) == (10_000, 0)


def test_what_the_broker_does_not_take_falls_out_when_it_is_too_much() -> None:
    owner = Owner(max_bytes=1_000)
    owner.put(ALL, named("m0", 700))
    owner.take()
    owner.queue.control(ALL, Kind.BEAT, named("beat"))
    for number in range(1, 6):
        owner.put(ALL, named(f"m{number}", 300))
    assert owner.settled == {2: DROPPED, 3: DROPPED}
    assert names(owner.take()) == [(ALL, ["beat"])]


@pytest.mark.parametrize(
    ("durable", "asked", "limits"),
    [
        (False, (None, None), (8 * 2**20, 5.0)),
        (True, (None, None), (64 * 2**20, 120.0)),
        (True, (2_000_000, None), (2_000_000, 120.0)),
        (False, (None, 0.5), (8 * 2**20, 0.5)),
    ],
)
def test_what_may_wait_is_as_was_asked_for_or_as_the_back_end_needs(
    durable: bool, asked: tuple[int | None, float | None], limits: tuple[int, float]
) -> None:
    assert waiting_limits(durable, *asked) == limits


def test_however_much_may_wait_no_more_is_in_flight_than_makes_sense() -> None:
    owner = Owner(max_bytes=8 * MAX_IN_FLIGHT_BYTES)
    for number in range(24):
        owner.put(ALL, named(f"m{number}", 1_000_000))
    taken = owner.take()
    assert 7 <= len(taken) <= 8
    assert owner.queue.in_flight_bytes <= MAX_IN_FLIGHT_BYTES
    owner.queue.down(1.0)
    assert (owner.queue.waiting, owner.settled) == (24, {})
    owner.queue.up(2.0)
    assert len(owner.take(2.0)) == len(taken)
    owner.queue.accepted(len(taken), 2.0)
    assert len(owner.take(2.0)) == len(taken)
    assert owner.settled.keys() == set(range(1, len(taken) + 1))


def test_what_is_held_back_waits_behind_control_messages_and_retries() -> None:
    owner = Owner()
    owner.put(ALL, named("retry"))
    owner.take()
    owner.queue.down(0.0)
    owner.put(ALL, named("held"))
    owner.queue.hold(1.0)
    owner.queue.hold(1.0)
    owner.queue.control(ALL, Kind.BEAT, named("beat"))
    owner.put(ALL, named("later"))
    assert names(owner.take(1.0)) == [(ALL, ["retry"]), (ALL, ["beat"])]
    assert owner.take(1.0) == []
    owner.queue.control(ALL, Kind.BEAT, named("second beat"))
    owner.queue.accepted(2, 1.0)
    assert owner.settled == {1: DELIVERED}
    owner.queue.up(2.0)
    assert names(owner.take(2.0)) == [(ALL, ["second beat"]), (ALL, ["held", "later"])]


def test_what_is_held_back_does_not_grow_too_old() -> None:
    owner = Owner(up=False)
    owner.put(ALL, named("m1"), 0.0)
    owner.queue.hold(4.9)
    assert owner.queue.due() is None
    owner.queue.expire(5.5)
    owner.queue.up(5.5)
    assert names(owner.take(5.5)) == [(ALL, ["m1"])]


def test_a_break_ends_the_holding() -> None:
    owner = Owner(up=False)
    owner.put(ALL, named("m1"), 0.0)
    owner.queue.hold(1.0)
    owner.queue.control(ALL, Kind.BEAT, named("forgotten"))
    owner.queue.down(2.0)
    assert owner.take(2.0) == []
    assert owner.queue.due() == MAX_WAITING_AGE
    owner.queue.up(3.0)
    assert names(owner.take(3.0)) == [(ALL, ["m1"])]


def test_how_far_tickets_have_come_can_be_asked() -> None:
    owner = Owner()
    fallen: list[tuple[int, int, Settled]] = []
    owner.queue.on_fallen = lambda ticket, count, how: fallen.append((ticket, count, how))
    assert (owner.queue.taken, owner.queue.oldest) == (0, 1)
    owner.queue.control(ALL, Kind.BEAT, named("beat"))
    for name in ("m1", "m2"):
        owner.put(LOBBY, named(name))
    owner.take()
    owner.put(LOBBY, named("m3"))
    assert (owner.queue.taken, owner.queue.oldest) == (2, 1)
    owner.queue.accepted(2, 0.0)
    assert (owner.queue.taken, owner.queue.oldest) == (2, 3)
    owner.take()
    owner.put(LOBBY, named("m4"))
    owner.queue.down(0.0)
    assert (owner.queue.taken, owner.queue.oldest, fallen) == (3, 3, [])
    owner.queue.give_up(0.0)
    assert (owner.queue.taken, owner.queue.oldest) == (4, 5)
    assert fallen == [(3, 1, ABANDONED), (4, 1, DROPPED)]


def test_what_is_too_old_falls_out_while_the_broker_is_away() -> None:
    owner = Owner()
    owner.put(LOBBY, named("m1"), 0.0)
    owner.take()
    owner.put(LOBBY, named("m2"), 1.0)
    assert owner.queue.due() is None  # it can be taken
    owner.queue.down(1.0)
    owner.put(LOBBY, named("m3"), 2.0)
    assert owner.queue.due() == MAX_WAITING_AGE
    owner.queue.expire(MAX_WAITING_AGE - 0.001)
    assert owner.settled == {}
    owner.queue.expire(MAX_WAITING_AGE)
    assert (owner.settled, owner.queue.due()) == ({1: ABANDONED}, 1.0 + MAX_WAITING_AGE)
    owner.queue.up(1.0 + MAX_WAITING_AGE)
    assert owner.settled == {1: ABANDONED, 2: DROPPED}
    assert names(owner.take(9.0)) == [(LOBBY, ["m3"])]
    assert owner.queue.due() is None


def test_a_message_is_as_old_as_the_newest_of_its_operations() -> None:
    owner = Owner(up=False)
    owner.put(LOBBY, named("m1"), 0.0)
    owner.put(LOBBY, named("m2"), 4.0)
    owner.queue.up(4.5)
    owner.take(4.5)
    owner.queue.down(4.6)
    owner.queue.up(8.0)
    assert names(owner.take(8.0)) == [(LOBBY, ["m1", "m2"])]
    owner.queue.down(9.0)
    assert owner.settled == {1: ABANDONED, 2: ABANDONED}


def test_a_stall_of_this_process_loses_nothing_that_the_broker_would_take() -> None:
    owner = Owner()
    owner.put(ALL, named("m1"), 0.0)
    owner.queue.expire(100.0)
    assert names(owner.take(100.0)) == [(ALL, ["m1"])]
    owner.queue.expire(200.0)
    owner.queue.accepted(1, 200.0)
    assert owner.settled == {1: DELIVERED}


def test_what_waits_too_long_for_a_slow_broker_falls_out_and_the_rest_goes_on() -> None:
    owner = Owner(max_bytes=1_000)
    owner.put(ALL, named("m1", 500), 0.0)
    owner.put(ALL, named("m2", 500), 1.0)
    owner.queue.control(ALL, Kind.BEAT, named("beat"))
    assert names(owner.take(1.0)) == [(ALL, ["m1"])]
    assert owner.queue.due() == 1.0 + MAX_WAITING_AGE
    owner.queue.expire(1.0 + MAX_WAITING_AGE)
    assert (owner.settled, owner.woken) == ({2: DROPPED}, 2)
    assert names(owner.take(7.0)) == [(ALL, ["beat"])]


def test_giving_up_ends_everything() -> None:
    owner = Owner()
    owner.put()
    owner.take()
    owner.put()
    owner.queue.control(ALL, Kind.GOODBYE, named("goodbye"))
    owner.queue.give_up(0.0)
    assert owner.settled == {1: ABANDONED, 2: DROPPED}
    assert (owner.queue.waiting, owner.queue.waiting_bytes, owner.queue.due()) == (0, 0, None)
    owner.queue.up(1.0)
    assert owner.take(1.0) == []


def test_receipts_are_optional() -> None:
    owner = Owner()
    owner.queue.on_settled = None
    owner.put()
    owner.take()
    owner.queue.accepted(1, 0.0)
    owner.put()
    owner.queue.give_up(0.0)
    assert (owner.queue.published[Kind.EMIT], owner.queue.dropped) == (1, 1)


def test_a_queue_that_nobody_listens_to_works() -> None:
    queue = PublishQueue(EnvelopeCodec(ORIGIN, "shop"), Sequences(), wall=lambda: SENT_MS)
    queue.up(0.0)
    queue.put(ALL, Kind.EMIT, b"\xc0", 0.0)
    assert len(queue.take(0.0)) == 1

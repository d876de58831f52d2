"""What waits for one client, and the flush that writes it once per turn."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.outbox import (
    FLUSH_BYTES,
    FLUSH_UNITS,
    NOWHERE,
    ONE_TURN_FACTOR,
    Flusher,
    Outbox,
    deliver,
    deliver_volatile,
)
from roomcast.settings import Settings
from tests.support.sinks import Counted, Listener, RecordingSink, RecordingTrace

MAX_BYTES = 100_000
MAX_UNITS = 200


class Owner(msgspec.Struct):
    """Whose outbox it is, as the flusher's trace wants to know it."""

    sid: str


class Receiver:
    """Anything that has an outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox


class Turn:
    """One flusher, and outboxes with sinks that record."""

    def __init__(self, max_bytes: int = MAX_BYTES, max_units: int = MAX_UNITS) -> None:
        self.counts = Counted()
        self.wake, self.slow, self.suspect = Listener(), Listener(), Listener()
        settings = Settings(max_backlog_bytes=max_bytes, max_backlog_packets=max_units)
        self.flusher = Flusher(settings, self.counts, self.wake, self.slow, self.suspect)

    def box(self, *, waiting: int = 0, paused: bool = False) -> tuple[Outbox, RecordingSink]:
        sink = RecordingSink(waiting)
        return Outbox(self.flusher, sink, Owner("client"), paused), sink


@pytest.fixture
def turn() -> Turn:
    return Turn()


def test_a_turn_is_one_write_and_one_wake(turn: Turn) -> None:
    (first, first_sink), (second, second_sink) = turn.box(), turn.box()
    for unit in (b"a", b"b"):
        first.put(unit)
        second.put(unit)
    assert (first_sink.blocks, second_sink.blocks) == ([], [])
    turn.flusher.flush()
    assert (first_sink.blocks, second_sink.blocks) == ([b"ab"], [b"ab"])
    assert turn.wake.calls == [()]
    assert (turn.counts.packets_out, turn.counts.bytes_out) == (4, 4)
    turn.flusher.flush()
    assert first_sink.blocks == [b"ab"]


def test_one_unit_is_written_as_the_very_object(turn: Turn) -> None:
    box, sink = turn.box()
    unit = b"unit" * 10
    box.put(unit)
    turn.flusher.flush()
    assert sink.blocks[0] is unit


def test_the_same_units_are_joined_once_for_all(turn: Turn) -> None:
    boxes = [turn.box() for _ in range(3)]
    for unit in (b"first", b"second"):
        deliver(turn.flusher, [Receiver(box) for box, _ in boxes], unit)
    turn.flusher.flush()
    blocks = [sink.blocks[0] for _, sink in boxes]
    assert blocks[0] == b"firstsecond"
    assert blocks[0] is blocks[1] is blocks[2]


def test_different_units_are_not_confused(turn: Turn) -> None:
    boxes = [turn.box() for _ in range(3)]
    for number, (box, _) in enumerate(boxes):
        box.put(b"a")
        box.put(b"%d" % (number % 2))
    turn.flusher.flush()
    assert [sink.blocks for _, sink in boxes] == [[b"a0"], [b"a1"], [b"a0"]]


def test_what_is_put_while_flushing_waits_for_the_next_turn(turn: Turn) -> None:
    box, sink = turn.box()
    box.put(b"a")
    turn.flusher.flush()
    box.put(b"b")
    assert sink.blocks == [b"a"]
    assert turn.wake.calls == [(), ()]
    turn.flusher.flush()
    assert sink.blocks == [b"a", b"b"]


def test_many_units_are_written_in_the_middle_of_a_turn(turn: Turn) -> None:
    box, sink = turn.box()
    for _ in range(FLUSH_UNITS - 1):
        box.put(b"x")
    assert sink.blocks == []
    box.put(b"x")
    assert sink.blocks == [b"x" * FLUSH_UNITS]
    turn.flusher.flush()
    assert sink.blocks == [b"x" * FLUSH_UNITS]


def test_much_data_is_written_in_the_middle_of_a_turn(turn: Turn) -> None:
    box, sink = turn.box()
    half = b"x" * (FLUSH_BYTES // 2)
    box.put(half)
    assert sink.blocks == []
    box.put(half)
    assert sink.blocks == [half + half]


def test_a_client_that_is_paused_keeps_its_units(turn: Turn) -> None:
    box, sink = turn.box()
    box.pause()
    box.put(b"a")
    turn.flusher.flush()
    assert sink.blocks == []
    box.put(b"b")
    box.resume()
    turn.flusher.flush()
    assert sink.blocks == [b"ab"]
    box.pause()
    box.resume()
    assert turn.flusher.boxes == []


@pytest.mark.parametrize(("extra", "told"), [(0, False), (1, True)])
def test_the_bound_in_units(turn: Turn, extra: int, told: bool) -> None:
    box, _ = turn.box(paused=True)
    for _ in range(MAX_UNITS + extra):
        box.put(b"x")
    assert turn.suspect.calls == []
    turn.flusher.flush()
    assert turn.suspect.calls == ([(box,)] if told else [])
    assert turn.slow.calls == []
    turn.flusher.flush()
    assert len(turn.suspect.calls) <= 1


@pytest.mark.parametrize(("waiting", "told"), [(0, False), (1, True)])
def test_the_bound_in_bytes_counts_the_transports_buffer(turn: Turn, waiting: int, told: bool) -> None:
    box, _ = turn.box(waiting=waiting, paused=True)
    for _ in range(10):
        box.put(b"x" * (MAX_BYTES // 10))
    assert box.backlog() == (MAX_BYTES + waiting, 10)
    turn.flusher.flush()
    assert turn.suspect.calls == ([(box,)] if told else [])


def test_a_bound_below_what_is_flushed_at_once_holds_too() -> None:
    turn = Turn(max_bytes=1_000, max_units=10)
    by_units, _ = turn.box(paused=True)
    by_bytes, _ = turn.box(paused=True)
    for _ in range(11):
        by_units.put(b"x")
    for _ in range(2):
        by_bytes.put(b"x" * 501)
    turn.flusher.flush()
    assert {box for (box,) in turn.suspect.calls} == {by_units, by_bytes}


def test_a_client_that_takes_again_by_the_end_of_the_turn_is_not_judged(turn: Turn) -> None:
    box, sink = turn.box(paused=True)
    for _ in range(MAX_UNITS + 1):
        box.put(b"x")
    box.resume()
    turn.flusher.flush()
    assert turn.suspect.calls == []
    assert sink.taken() == b"x" * (MAX_UNITS + 1)


def test_one_turn_may_produce_more_than_the_bound(turn: Turn) -> None:
    """A handler that emits many times without pausing must not get its readers closed."""
    box, _ = turn.box(paused=True)
    for _ in range(MAX_UNITS * ONE_TURN_FACTOR):
        box.put(b"x")
    turn.flusher.flush()
    assert turn.slow.calls == []
    assert turn.suspect.calls == [(box,)]
    box.put(b"x")
    assert turn.slow.calls == [(box.owner,)]


def test_a_transport_that_has_taken_too_much_meanwhile_is_found_at_the_end_of_the_turn(turn: Turn) -> None:
    box, sink = turn.box(paused=True)
    for _ in range(FLUSH_UNITS):
        box.put(b"x")
    sink.waiting = MAX_BYTES * ONE_TURN_FACTOR
    turn.flusher.flush()
    assert turn.slow.calls == [(box.owner,)]


def test_who_is_judged_later_in_the_turn_wakes_the_driver_once(turn: Turn) -> None:
    (first, _), (second, _) = turn.box(paused=True), turn.box(paused=True)
    for box in (first, second):
        for _ in range(FLUSH_UNITS - 1):
            box.put(b"x")
    turn.flusher.flush()
    turn.wake.calls.clear()
    first.put(b"x")
    second.put(b"x")
    second.put(b"x")
    third, third_sink = turn.box()
    third.put(b"x")
    deliver(turn.flusher, [Receiver(turn.box()[0])], b"x")
    assert turn.wake.calls == [()]
    turn.flusher.flush()
    assert third_sink.blocks == [b"x"]


def test_taking_everything(turn: Turn) -> None:
    box, sink = turn.box()
    box.put(b"a")
    box.put(b"b")
    box.backlog()
    taken = box.taken
    assert list(box.take()) == [b"a", b"b"]
    assert box.taken > taken
    assert box.backlog() == (0, 0)
    turn.flusher.flush()
    assert sink.blocks == []


def test_the_backlog_is_counted_anew_after_a_write(turn: Turn) -> None:
    box, _ = turn.box()
    box.put(b"abc")
    assert box.backlog() == (3, 1)
    box.put(b"d")
    assert box.backlog() == (4, 2)
    turn.flusher.flush()
    assert box.backlog() == (0, 0)
    box.put(b"e")
    assert box.backlog() == (1, 1)


def test_a_client_that_is_gone_takes_anything_to_nowhere(turn: Turn) -> None:
    box, sink = turn.box(paused=True)
    box.put(b"a")
    assert list(box.shut()) == [b"a"]
    assert box.sink is NOWHERE
    box.put(b"b")
    turn.flusher.flush()
    assert sink.blocks == []
    assert box.backlog() == (0, 0)


def test_whoever_wants_to_know_is_told_of_every_block(turn: Turn) -> None:
    turn.flusher.trace = trace = RecordingTrace()
    box, _ = turn.box()
    box.put(b"a")
    box.put(b"b")
    turn.flusher.flush()
    assert trace.lines == [("sent", b"ab")]


# --- many receivers ---------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 3), min_size=1), max_size=30), st.sets(st.integers(0, 3)))
def test_delivering_to_many_is_putting_to_each(rounds: list[list[int]], paused: set[int]) -> None:
    results: list[object] = []
    for one_by_one in (True, False):
        turn = Turn()
        boxes = [turn.box(paused=number in paused) for number in range(4)]
        for number, targets in enumerate(rounds):
            unit = b"%d," % number
            chosen = [Receiver(boxes[target][0]) for target in targets]
            if one_by_one:
                for receiver in chosen:
                    receiver.outbox.put(unit)
            else:
                deliver(turn.flusher, chosen, unit)
            if number % 3 == 0:
                turn.flusher.flush()
        turn.flusher.flush()
        found = [(sink.taken(), list(box.frames), box.backlog()) for box, sink in boxes]
        results.append((found, turn.counts.packets_out, turn.counts.bytes_out))
    assert results[0] == results[1]


def test_what_many_get_alone_is_counted_for_each(turn: Turn) -> None:
    boxes = [turn.box() for _ in range(4)]
    receivers = [Receiver(box) for box, _ in boxes]
    deliver(turn.flusher, receivers[:2], b"for two")
    deliver(turn.flusher, receivers[2:], b"two others")
    turn.flusher.flush()
    assert [sink.blocks for _, sink in boxes] == [[b"for two"]] * 2 + [[b"two others"]] * 2
    assert (turn.counts.packets_out, turn.counts.bytes_out) == (4, 2 * len(b"for two") + 2 * len(b"two others"))


def test_a_client_that_stops_taking_in_the_midst_of_a_flush_keeps_what_all_get(turn: Turn) -> None:
    first, last = turn.box(), turn.box()
    deliver(turn.flusher, [Receiver(first[0]), Receiver(last[0])], b"a")
    last[0].pause()
    turn.flusher.flush()
    assert (first[1].blocks, last[1].blocks) == ([b"a"], [])
    assert last[0].backlog() == (1, 1)
    last[0].resume()
    deliver(turn.flusher, [Receiver(first[0])], b"b")
    turn.flusher.flush()
    assert (first[1].blocks, last[1].blocks) == ([b"a", b"b"], [b"a"])
    assert last[0].backlog() == (0, 0)


def test_whoever_wants_to_know_is_told_of_what_many_get(turn: Turn) -> None:
    turn.flusher.trace = trace = RecordingTrace()
    deliver(turn.flusher, [Receiver(turn.box()[0]) for _ in range(2)], b"a")
    turn.flusher.flush()
    assert trace.lines == [("sent", b"a")] * 2


def test_delivering_large_units_writes_in_the_middle_of_a_turn(turn: Turn) -> None:
    box, sink = turn.box()
    unit = b"x" * (2 * FLUSH_BYTES)
    deliver(turn.flusher, [Receiver(box)], unit)
    assert sink.blocks == []
    deliver(turn.flusher, [Receiver(box)], unit)
    assert sink.blocks == [unit + unit]


def test_volatile_units_skip_who_is_behind(turn: Turn) -> None:
    (free, free_sink), (behind, _), (nearly, _) = (
        turn.box(waiting=5_000),
        turn.box(waiting=100, paused=True),
        turn.box(waiting=99, paused=True),
    )
    assert deliver_volatile(map(Receiver, (free, behind, nearly)), b"x", 100) == 1
    turn.flusher.flush()
    assert free_sink.blocks == [b"x"]
    assert list(behind.frames) == []
    assert list(nearly.frames) == [b"x"]

"""What was posted, what became of it, and the marks, by plain calls with a time of the test's own."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import MessageTooLargeError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Envelope, Kind, Mark, Marks
from roomcast_emitter.counts import Counts
from roomcast_emitter.operations import Operations, Order
from roomcast_emitter.postbox import BEAT, MARKS_PER_MESSAGE, Limits, OnFailure, Postbox
from roomcast_emitter.receipts import Outcome, Parcel
from roomcast_emitter.selection import Selection

CHANNELS = Channels("shop")
OPERATIONS = Operations(CHANNELS)
READER = EnvelopeCodec(new_origin("test"), "shop")
ALL = CHANNELS.everyone


def orders(*rooms: str, size: int = 0) -> tuple[Order, ...]:
    return tuple(
        order for room in rooms for order in OPERATIONS.emit("e", "x" * size or None, Selection("/", (room,)))
    )


class Played:
    """A postbox, and the broker's side of it: time passes only by :meth:`pass_time`."""

    def __init__(self, on_failure: OnFailure = "queue", keys: KeyRing | None = None, **limits: Any) -> None:
        self.now = 1_000.0
        self.box = Postbox(CHANNELS, keys, Limits(on_failure, **limits), lambda: 17)

    def posted(self, *rooms: str, size: int = 0) -> Parcel:
        return self.box.post(orders(*rooms, size=size), self.now)

    def taken(self) -> list[Envelope]:
        """What is handed to the broker."""
        return [READER.decode(channel, payload) for channel, payload in self.box.take(self.now)]

    def through(self) -> list[Envelope]:
        """What is handed to the broker and accepted by it."""
        taken = self.taken()
        self.box.accepted(len(taken), self.now)
        return taken

    def up(self) -> None:
        self.box.up(self.now)

    def pass_time(self, seconds: float) -> list[Envelope]:
        """Let what is due happen at its time; what was handed to the broker, which accepts it."""
        end = self.now + seconds
        sent = []
        while (due := self.box.due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.box.tick(self.now)
            sent += self.through()
        self.now = end
        return sent


def marks(envelopes: list[Envelope]) -> list[Mark]:
    bodies = [decode_body(envelope.operations[0]) for envelope in envelopes if envelope.control]
    return [mark for body in bodies if isinstance(body, Marks) for mark in body.marks]


def kinds(envelopes: list[Envelope]) -> list[int]:
    return [operation.kind for envelope in envelopes for operation in envelope.operations]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"on_failure": "retry"}, "'queue', 'raise' or 'drop', not 'retry'"),
        ({"max_bytes": MAX_MESSAGE_BYTES - 1}, "1,040,000 at least"),
        ({"max_seconds": 0}, "more than 0"),
    ],
)
def test_limits_that_cannot_work(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Limits(**wrong)


def test_the_limits_say_what_happens_meanwhile() -> None:
    assert Limits(max_seconds=2.5).meanwhile == "what is emitted waits for 2.5 s"
    assert Limits("drop").meanwhile == "what is emitted does not wait"


# --- on its way -------------------------------------------------------------------------------------------------------


def test_what_is_posted_goes_out_in_order_and_ends_when_it_is_accepted() -> None:
    play = Played()
    one, two = play.posted("a"), play.posted("b", "b")
    assert play.taken() == []  # nobody has reached the broker
    play.up()
    envelopes = play.taken()
    assert [(each.channel, each.seq, len(each.operations)) for each in envelopes] == [
        (CHANNELS.room("/", "a"), 1, 1),
        (CHANNELS.room("/", "b"), 1, 2),
    ]
    assert {each.sent_ms for each in envelopes} == {17}
    assert not one.ended()
    play.box.accepted(1, play.now)
    assert (one.outcome, two.outcome) == (Outcome.DELIVERED, Outcome.QUEUED)
    play.box.accepted(1, play.now)
    assert two.outcome is Outcome.DELIVERED
    assert play.box.counts() == Counts(3, 0, 0, 0, 0)
    assert play.box.unsettled == play.box.lost == 0


def test_it_says_when_something_can_be_taken() -> None:
    play = Played()
    called: list[bool] = []
    play.box.on_ready = lambda: called.append(play.box.ready)
    play.posted("a")
    assert called == []
    play.up()
    play.up()
    assert called == [True]
    play.through()
    play.posted("a")
    assert called == [True, True]
    play.through()
    assert not play.box.ready


def test_what_is_too_large_is_told_at_once_and_nothing_of_it_is_posted() -> None:
    play = Played()
    small, large = orders("a"), orders("a", size=MAX_MESSAGE_BYTES)
    with pytest.raises(MessageTooLargeError):
        play.box.post((*small, *large), play.now)
    assert play.box.unsettled == 0
    assert play.box.idle


def test_it_signs_where_there_are_keys() -> None:
    play = Played(keys=KeyRing(["secret"]))
    play.posted("a")
    play.up()
    assert [envelope.signed for envelope in play.taken()] == [True]


def test_each_postbox_is_an_origin_of_its_own() -> None:
    origins = set()
    for _ in range(2):
        play = Played()
        play.posted("a")
        play.up()
        origins |= {envelope.origin for envelope in play.taken()}
    assert len(origins) == 2
    assert {len(origin.name) for origin in origins} == {8}


# --- while the broker is away -----------------------------------------------------------------------------------------


def test_what_was_taken_when_the_connection_broke_is_taken_again_in_the_same_bytes() -> None:
    play = Played()
    parcel = play.posted("a")
    play.up()
    first = play.box.take(play.now)
    play.box.broken(play.now)
    assert not parcel.ended()
    later = play.posted("b")
    play.up()
    assert play.box.take(play.now)[:1] == first
    play.box.accepted(2, play.now)
    assert parcel.outcome is later.outcome is Outcome.DELIVERED


def test_what_waits_too_long_falls_out_and_says_how() -> None:
    play = Played(max_seconds=5.0)
    written, waiting = play.posted("a"), play.posted("a")
    play.up()
    play.box.take(play.now)
    play.box.away(play.now)
    unwritten = play.posted("b")
    assert play.box.due() == play.now + 5.0
    play.pass_time(4.9)
    assert play.box.counts().waiting == 3
    play.pass_time(0.2)
    assert (written.outcome, waiting.outcome) == (Outcome.UNCONFIRMED, Outcome.UNCONFIRMED)
    assert unwritten.outcome is Outcome.DROPPED
    assert play.box.counts() == Counts(0, 1, 2, 0, 0)
    assert play.box.lost == 3


def test_beyond_its_bytes_the_oldest_falls_out() -> None:
    play = Played(max_bytes=MAX_MESSAGE_BYTES)
    first = play.posted("a", size=600_000)
    second = play.posted("a", size=600_000)
    assert first.outcome is Outcome.DROPPED
    assert second.outcome is Outcome.QUEUED
    assert play.box.counts().waiting_bytes <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize("on_failure", ["raise", "drop"])
def test_where_nothing_waits_all_of_it_ends_when_the_broker_is_away(on_failure: OnFailure) -> None:
    play = Played(on_failure)
    written = play.posted("a")
    play.up()
    play.box.take(play.now)
    play.box.broken(play.now)
    assert written.outcome is Outcome.QUEUED  # one more attempt, at once
    unwritten = play.posted("a")
    play.box.away(play.now)
    assert (written.outcome, unwritten.outcome) == (Outcome.UNCONFIRMED, Outcome.DROPPED)


def test_giving_up_ends_everything() -> None:
    play = Played()
    parcel = play.posted("a")
    assert play.box.parcels() == {parcel}
    play.box.give_up(play.now)
    assert parcel.outcome is Outcome.DROPPED
    assert play.box.parcels() == set()


# --- marks ------------------------------------------------------------------------------------------------------------


def test_three_beats_tell_how_far_the_numbers_are_and_then_nothing_is_owed() -> None:
    play = Played()
    play.posted("a", "a")
    play.up()
    play.through()
    assert play.box.due() == play.now + BEAT
    sent = play.pass_time(10.0)
    assert kinds(sent) == [Kind.MARKS] * 3
    assert {envelope.channel for envelope in sent} == {ALL}
    assert [(mark.channel, mark.before, mark.last, mark.since_ms) for mark in marks(sent)] == [
        (CHANNELS.room("/", "a"), 0, 2, since) for since in (1_000, 2_000, 3_000)
    ]
    assert play.box.idle
    assert play.box.due() is None


def test_who_goes_on_publishing_goes_on_marking() -> None:
    play = Played()
    play.up()
    told = []
    for _ in range(6):
        play.posted("a")
        play.through()
        told += [mark.last for mark in marks(play.pass_time(BEAT))]
    assert told == [1, 2, 3, 4, 5, 6]


def test_after_a_pause_the_mark_says_what_was_before_the_pause() -> None:
    play = Played()
    play.up()
    play.posted("a", "a", "a")
    play.through()
    play.pass_time(100.0)
    play.posted("a")
    play.through()
    first, *_ = marks(play.pass_time(5.0))
    assert (first.before, first.last, first.since_ms) == (3, 4, 1_000)


def test_marks_of_a_flush_go_out_behind_what_waits() -> None:
    play = Played()
    play.up()
    play.posted("a")
    play.through()
    play.posted("a")
    assert play.box.mark(play.now)
    envelopes = play.through()
    assert kinds(envelopes) == [Kind.EMIT, Kind.MARKS]


def test_without_anything_to_mark_there_are_no_marks() -> None:
    play = Played()
    play.up()
    assert not play.box.mark(play.now)
    assert play.through() == []


def test_while_the_broker_is_away_no_beat_passes_and_afterwards_they_follow() -> None:
    play = Played()
    play.up()
    play.posted("a")
    play.taken()
    play.box.broken(play.now)
    assert play.pass_time(4.0) == []
    play.up()
    play.through()
    sent = play.pass_time(10.0)
    assert [mark.last for mark in marks(sent)] == [1, 1, 1]
    assert play.box.idle


def test_a_thousand_marks_to_a_message() -> None:
    play = Played()
    play.up()
    play.posted(*(f"room {number}" for number in range(MARKS_PER_MESSAGE + 1)))
    play.through()
    assert play.box.mark(play.now)
    sizes = [len(marks([envelope])) for envelope in play.through()]
    assert sizes == [MARKS_PER_MESSAGE, 1]

"""Trackers of all channels and origins: when marks are believed, whose time counts, and what is forgotten."""

import pytest

from roomcast.core import tracking as module
from roomcast.core.docket import MAX_PENDING
from roomcast.core.tracking import IDLE, MAX_GAPS, SLACK, Gap, Tracking
from roomcast_brokers.messages import Mark, Origin

PEER = Origin("peer", b"11111111")
REBORN = Origin("peer", b"22222222")
LEASE = 3.0


def ordered(*channels: str) -> Tracking:
    tracking = Tracking(ordered=True, lease=LEASE)
    for channel in channels or ("room",):
        tracking.begin(channel, 0.0)
    return tracking


def unordered() -> Tracking:
    tracking = Tracking(ordered=False, lease=LEASE)
    tracking.begin("room", 0.0)
    return tracking


def mark(before: int, last: int, since: float = 3.0, gen: int = 1, channel: str = "room") -> Mark:
    return Mark(channel, gen, before, last, round(since * 1000))


# --- data -------------------------------------------------------------------------------------------------------------


def test_jumps_are_lost_repeats_are_told_and_both_are_counted() -> None:
    tracking = ordered()
    assert tracking.heard(PEER, "room", 1, 1, 2, 1.0) == 0
    assert tracking.heard(PEER, "room", 1, 3, 1, 1.0) == 0
    assert tracking.heard(PEER, "room", 1, 6, 1, 1.0) == 0
    assert tracking.heard(PEER, "room", 1, 5, 3, 1.0) == 2
    assert (tracking.lost, tracking.duplicates, tracking.recanted) == (2, 2, 0)
    assert tracking.take_gaps() == [Gap("peer", "room", 2)]
    assert tracking.take_gaps() == []


def test_each_life_of_an_origin_and_each_channel_is_counted_by_itself() -> None:
    tracking = ordered("room", "all")
    tracking.heard(PEER, "room", 1, 1, 1, 1.0)
    tracking.heard(PEER, "all", 2, 1, 1, 1.0)
    tracking.heard(REBORN, "room", 1, 1, 1, 1.0)
    assert (tracking.lost, tracking.duplicates, len(tracking)) == (0, 0, 3)
    tracking.heard(PEER, "all", 2, 3, 1, 1.0)
    tracking.heard(REBORN, "room", 1, 3, 1, 1.0)
    tracking.heard(PEER, "room", 1, 3, 1, 1.0)
    assert tracking.take_gaps() == [Gap("peer", "all", 1), Gap("peer", "room", 2)]


def test_repeats_are_found_before_the_confirmation_too() -> None:
    tracking = Tracking(ordered=True, lease=LEASE)
    assert tracking.heard(PEER, "room", 1, 4, 1, 1.0) == 0
    assert tracking.heard(PEER, "room", 1, 4, 1, 1.0) == 1
    tracking.mark(PEER, mark(2, 4), 60.0)
    assert tracking.lost == 0
    tracking.begin("room", 61.0)
    assert tracking.heard(PEER, "room", 1, 4, 1, 61.5) == 1
    tracking.mark(PEER, mark(2, 4), 62.0)
    assert tracking.lost == 0
    tracking.mark(PEER, mark(2, 4), 65.0)
    assert tracking.lost == 1


def test_a_break_forgets_nothing_unsubscribing_forgets_all() -> None:
    tracking = ordered()
    tracking.heard(PEER, "room", 1, 1, 1, 1.0)
    tracking.begin("room", 9.0)  # confirmed again after a break
    tracking.heard(PEER, "room", 1, 4, 1, 9.0)
    assert tracking.lost == 2
    tracking.end("room")
    tracking.end("room")
    assert len(tracking) == 0
    tracking.begin("room", 20.0)
    tracking.heard(PEER, "room", 1, 9, 1, 21.0)
    assert tracking.lost == 2


# --- marks ------------------------------------------------------------------------------------------------------------


def test_a_tail_is_confessed_at_once_where_order_is_kept() -> None:
    tracking = ordered()
    tracking.heard(PEER, "room", 1, 1, 1, 1.0)
    tracking.mark(PEER, mark(0, 3), 2.0)
    assert tracking.take_gaps() == [Gap("peer", "room", 2)]
    assert tracking.heard(PEER, "room", 1, 2, 2, 2.0) == 0
    assert (tracking.lost, tracking.recanted) == (2, 2)


def test_every_number_that_comes_after_all_is_recanted_until_the_tail_is_closed() -> None:
    tracking = ordered()
    tracking.heard(PEER, "room", 1, 1, 1, 1.0)
    tracking.mark(PEER, mark(0, 5), 2.0)
    for number in range(2, 8):
        assert tracking.heard(PEER, "room", 1, number, 1, 2.0) == 0
    assert (tracking.lost, tracking.recanted) == (4, 4)


def test_a_mark_of_a_channel_that_is_not_heard_means_nothing() -> None:
    tracking = ordered()
    tracking.mark(PEER, mark(0, 3, channel="other"), 60.0)
    assert (tracking.lost, len(tracking)) == (0, 0)


@pytest.mark.parametrize(("now", "lost"), [(3.0 + SLACK - 0.01, 0), (3.0 + SLACK, 2)])
def test_counting_begins_with_a_mark_only_if_its_time_is_ours(now: float, lost: int) -> None:
    tracking = ordered()
    tracking.mark(PEER, mark(5, 7, since=3.0), now)
    assert tracking.lost == lost
    assert len(tracking) == (1 if lost else 0)


def test_the_promise_holds_from_the_fourth_second_on_even_if_nothing_was_ever_heard() -> None:
    """An operation published 4 s after the confirmation is lost; the third beat after it tells, at the latest."""
    published = 4.05
    for phase in range(20):  # of the origin's beats; ours are written at every full second
        tracking = ordered()
        beats = [published + 0.001 + phase / 20 + each for each in range(3)]
        for beat in beats:
            # Three beats before `beat` this operation had not been published, and another one long ago had.
            tracking.mark(PEER, mark(1, 2, since=3.0), float(int(beat)))
        assert tracking.lost == 1


def test_the_time_of_marks_is_that_of_our_latest_beat_however_late_they_are_read() -> None:
    tracking = ordered()
    tracking.mark(PEER, mark(5, 7), 2.0)  # is read at 60.0, but our latest beat that came back was written at 2.0
    assert tracking.lost == 0


def test_what_was_lost_before_the_first_message_heard_is_confessed_by_a_mark() -> None:
    tracking = ordered()
    tracking.heard(PEER, "room", 1, 8, 1, 10.0)
    assert tracking.lost == 0
    tracking.mark(PEER, mark(5, 8), 11.0)
    assert tracking.take_gaps() == [Gap("peer", "room", 2)]
    tracking.mark(PEER, mark(0, 8, since=12.0), 11.0)  # the counter began before our time
    tracking.mark(PEER, mark(0, 8, since=9.0), 11.0)
    assert tracking.lost == 7


def test_where_order_is_not_kept_a_mark_waits_for_a_lease_by_the_time_of_the_broker() -> None:
    tracking = unordered()
    tracking.heard(PEER, "room", 1, 1, 1, 9.5)
    tracking.mark(PEER, mark(0, 3), 10.0)
    tracking.tick(20.0)  # the first beat of ours that came back after it: we have stood still
    tracking.tick(22.9)
    assert tracking.lost == 0
    tracking.tick(23.0)
    assert tracking.lost == 2


def test_what_comes_while_its_mark_waits_was_never_lost() -> None:
    tracking = unordered()
    tracking.heard(PEER, "room", 1, 1, 1, 9.5)
    tracking.mark(PEER, mark(0, 3), 10.0)
    tracking.tick(11.0)
    tracking.mark(PEER, mark(0, 4), 11.0)
    tracking.tick(12.0)
    tracking.heard(PEER, "room", 1, 2, 2, 12.0)
    tracking.tick(14.0)
    assert tracking.lost == 0
    tracking.tick(15.0)
    assert (tracking.lost, tracking.recanted) == (1, 0)


def test_a_first_mark_waits_too_and_data_that_it_overtook_is_nothing_special() -> None:
    tracking = unordered()
    tracking.mark(PEER, mark(5, 7), 10.0)
    tracking.mark(PEER, mark(0, 7, since=5.0), 10.0)
    tracking.heard(PEER, "room", 1, 1, 6, 11.0)
    tracking.tick(11.0)
    tracking.tick(20.0)
    assert (tracking.lost, tracking.recanted, tracking.duplicates) == (1, 0, 0)


def test_marks_that_wait_for_the_same_beat_are_one() -> None:
    tracking = unordered()
    for each in range(20):
        tracking.mark(PEER, mark(7, 8 + each), 10.0)
    tracking.mark(PEER, mark(2, 30), 12.0)
    tracking.mark(PEER, mark(4, 31), 12.1)
    tracking.mark(PEER, mark(0, 32, since=60.0), 12.2)
    assert len(tracking.docket) == 1
    tracking.tick(13.0)
    tracking.tick(16.0)
    assert tracking.lost == 30
    assert len(tracking.docket) == 0


def test_marks_that_wait_are_bounded_and_the_last_one_still_tells_all() -> None:
    tracking = unordered()
    for each in range(MAX_PENDING + 5):
        tracking.mark(PEER, mark(7, 8 + each, gen=each), 10.0)
    assert len(tracking.docket) == MAX_PENDING
    tracking.tick(13.0)
    tracking.tick(16.0)
    assert tracking.lost == 1 + 9 + 10 + 11 + 12 + 13 + 14 + 20


def test_a_mark_of_a_later_gen_takes_no_beginning_from_the_one_it_replaces() -> None:
    tracking = unordered()
    tracking.heard(PEER, "room", 1, 9, 1, 1.0)
    for beat in range(MAX_PENDING):
        tracking.mark(PEER, mark(4, 10), 10.0)
        tracking.tick(9.0 + beat / 8)
    tracking.mark(PEER, mark(0, 2, since=60.0, gen=50), 11.0)
    tracking.tick(11.0)
    tracking.tick(20.0)
    assert tracking.lost == 4 + 1 + 2


def test_what_is_unsubscribed_while_marks_wait_is_not_confessed() -> None:
    tracking = unordered()
    tracking.heard(PEER, "room", 1, 1, 1, 9.5)
    tracking.mark(PEER, mark(0, 3), 10.0)
    tracking.end("room")
    tracking.begin("other", 10.0)
    tracking.heard(PEER, "other", 1, 1, 1, 10.0)
    tracking.mark(PEER, mark(0, 2, channel="other"), 10.5)
    tracking.tick(11.0)
    tracking.tick(20.0)
    assert tracking.take_gaps() == [Gap("peer", "other", 1)]


def test_on_our_own_channel_a_counter_that_is_not_older_than_we_are_is_ours_from_its_beginning() -> None:
    tracking = Tracking(ordered=True, lease=LEASE, own="node:us")
    tracking.begin("node:us", 10.0)
    tracking.begin("room", 10.0)
    tracking.mark(PEER, mark(0, 1, since=0.5, channel="room"), 10.2)
    assert tracking.take_unheard() == []
    tracking.mark(PEER, mark(0, 1, since=0.5, channel="node:us"), 10.2)
    assert tracking.take_unheard() == [PEER]
    assert tracking.take_unheard() == []
    tracking.mark(REBORN, mark(3, 4, since=0.5, channel="node:us"), 10.2)
    tracking.mark(REBORN, mark(0, 4, since=5.0, channel="node:us"), 10.2)
    assert tracking.take_gaps() == [Gap("peer", "node:us", 1)], "of a predecessor of ours"


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_an_idle_tracker_is_forgotten_and_one_that_is_heard_is_not() -> None:
    tracking = ordered("room", "all")
    tracking.heard(PEER, "room", 1, 1, 1, 1.0)
    tracking.heard(PEER, "all", 2, 1, 1, 1.0)
    tracking.heard(REBORN, "all", 2, 1, 1, 1.0)
    tracking.heard(PEER, "all", 2, 2, 1, 600.0)
    tracking.mark(REBORN, mark(0, 1, channel="all"), 700.0)
    tracking.tick(1.0 + IDLE)
    assert len(tracking) == 2
    tracking.tick(600.0 + IDLE)
    assert len(tracking) == 1
    assert tracking.early_evictions == 0


def test_many_that_became_idle_together_are_forgotten_little_by_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FORGET_AT_ONCE", 2)
    tracking = ordered()
    for each in range(5):
        tracking.heard(Origin(f"n{each:03}", b"11111111"), "room", 1, 1, 1, 0.0)
    left = []
    for _ in range(4):
        tracking.tick(IDLE)
        left.append(len(tracking))
    assert left == [3, 1, 0, 0]


def test_who_comes_again_after_it_was_forgotten_is_not_thought_to_have_been_missed() -> None:
    tracking = ordered()
    tracking.heard(PEER, "room", 1, 1, 100, 10.0)
    tracking.tick(10.0 + IDLE)
    tracking.heard(PEER, "room", 1, 105, 1, 1500.0)
    tracking.mark(PEER, mark(0, 105, since=1495.0), 1501.0)  # is older than what was heard
    assert tracking.lost == 0
    tracking.mark(PEER, mark(102, 105, since=100.0), 1501.0)
    assert tracking.lost == 2


def test_beyond_the_bound_the_longest_idle_gives_way_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TRACKERS", 3)
    tracking = ordered()
    origins = [Origin(f"n{each:03}", b"11111111") for each in range(5)]
    for now, origin in enumerate(origins[:3]):
        tracking.heard(origin, "room", 1, 1, 1, float(now))
    tracking.heard(origins[0], "room", 1, 2, 1, 5.0)
    tracking.heard(origins[3], "room", 1, 1, 1, 6.0)
    assert tracking.heard(origins[0], "room", 1, 2, 1, 7.0) == 1
    assert tracking.heard(origins[1], "room", 1, 1, 1, 8.0) == 0  # its place is forgotten
    assert len(tracking) == 3
    assert tracking.early_evictions == 2


def test_what_was_never_confirmed_is_forgotten_with_its_last_tracker() -> None:
    tracking = Tracking(ordered=True, lease=LEASE)
    tracking.heard(PEER, "room", 1, 1, 1, 0.0)
    tracking.heard(REBORN, "room", 1, 1, 1, 1.0)
    tracking.tick(IDLE)
    assert len(tracking) == 1
    tracking.tick(1.0 + IDLE)
    assert tracking._channels == {}


def test_subscriptions_that_come_and_go_leave_nothing_behind() -> None:
    tracking = Tracking(ordered=True, lease=LEASE)
    for each in range(1_000):
        tracking.begin("room", 0.0)
        tracking.heard(PEER, "room", 1, 1 + each, 1, 0.0)
        tracking.end("room")
    assert len(tracking) == 0
    assert len(tracking._idle) < 20
    tracking.tick(IDLE)
    assert tracking._idle == []


def test_gaps_that_nobody_takes_are_bounded() -> None:
    channels = [f"room{each}" for each in range(MAX_GAPS + 5)]
    tracking = ordered(*channels)
    for channel in channels:
        tracking.heard(PEER, channel, 1, 1, 1, 1.0)
        tracking.heard(PEER, channel, 1, 3, 1, 1.0)
    tracking.heard(PEER, channels[0], 1, 5, 1, 1.0)
    gaps = tracking.take_gaps()
    assert len(gaps) == MAX_GAPS
    assert gaps[0] == Gap("peer", "room0", 2)
    assert tracking.lost == MAX_GAPS + 6

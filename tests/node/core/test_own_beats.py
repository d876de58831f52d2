"""Our own beats: when they are due, what ends a round, whose time is the clock, and who is deaf."""

from roomcast.core.own_beats import MAX_BUSY, OwnBeats


def up(started: float = 0.0) -> OwnBeats:
    own = OwnBeats(1.0, 3, started)
    own.up(started)
    return own


def fell_deaf(own: OwnBeats, *moments: float) -> list[float]:
    """The moments of these at which it turned out."""
    found = []
    for now in moments:
        own.write(now)
        if own.fell_deaf(now):
            found.append(now)
    return found


def test_beats_are_due_once_a_second_while_the_broker_is_up() -> None:
    own = OwnBeats(1.0, 3, 0.0)
    assert own.due() is None
    assert own.write(0.0) is None
    own.up(5.0)
    assert own.due() == 5.0
    assert own.write(5.0) == 1
    assert own.write(5.9) is None
    assert own.write(6.25) == 2
    assert own.due() == 7.0  # the late one shifts nothing
    assert own.write(17.0) == 3
    assert own.due() == 18.0  # a stall's are not made up for
    own.down()
    assert own.due() is None
    assert own.write(20.0) is None


def test_who_is_silent_writes_none_until_it_may_again() -> None:
    own = up()
    own.silence(True)
    assert own.due() is None
    own.down()
    own.up(3.0)
    assert own.write(3.0) is None
    own.silence(False)
    assert own.write(3.0) == 1
    own.down()
    own.silence(False)
    assert own.due() is None


def test_a_round_is_a_beat_that_was_written_after_the_round_before_it_was_over() -> None:
    own = up()
    own.write(0.0)
    assert own.came_back(1, 0.1) is False  # begins the first round
    own.write(1.0)
    assert own.came_back(2, 1.1) is True
    assert own.rounds == 1


def test_several_that_are_read_in_one_go_end_one_round() -> None:
    own = up()
    own.write(0.0)
    own.came_back(1, 0.1)
    own.write(1.0)
    own.write(2.0)
    own.write(3.0)
    assert [own.came_back(number, 3.5) for number in (2, 3, 4)] == [True, False, False]
    own.write(4.0)
    assert own.came_back(5, 4.1) is True
    assert own.rounds == 2


def test_the_first_one_after_a_break_ends_no_round() -> None:
    own = up()
    own.write(0.0)
    own.came_back(1, 0.1)
    own.down()
    own.up(5.0)
    own.write(5.0)
    assert own.came_back(2, 5.1) is False
    own.write(6.0)
    assert own.came_back(3, 6.1) is True


def test_the_clock_is_when_the_latest_that_came_back_was_written() -> None:
    own = up(3.0)
    assert own.clock == 3.0
    own.write(4.0)
    own.write(5.0)
    assert own.came_back(2, 5.25) is False
    assert (own.clock, own.lag) == (5.0, 0.25)


def test_what_is_repeated_made_up_or_of_before_a_break_is_nothing() -> None:
    own = up()
    own.write(0.0)
    assert own.came_back(2, 0.1) is None
    assert own.came_back(1, 0.1) is False
    assert own.came_back(1, 0.2) is None
    own.write(1.0)
    assert own.came_back(1, 1.1) is None
    own.down()
    own.up(2.0)
    assert own.came_back(2, 2.1) is None
    assert own.clock == 0.0


def test_three_that_do_not_come_back_within_a_lease_are_deafness_told_once_a_lease() -> None:
    own = up()
    assert fell_deaf(own, 0.0, 1.0, 2.0, 2.9, 3.0, 4.0, 5.0, 6.0, 7.0) == [3.0, 7.0]
    before = own.is_deaf
    assert own.came_back(8, 7.5) is None  # of before it was told
    own.write(8.0)
    assert own.came_back(9, 8.5) is False
    assert (before, own.is_deaf) == (True, False)


def test_deafness_is_due_when_it_would_turn_out() -> None:
    own = up()
    assert fell_deaf(own, 0.0, 1.0, 2.25, 3.0) == []
    assert own.due() == 3.25
    assert fell_deaf(own, 3.25) == [3.25]
    assert own.due() == 4.0


def test_one_in_three_is_enough() -> None:
    own = up()
    assert fell_deaf(own, 0.0, 1.0, 2.0) == []
    own.came_back(3, 2.5)
    assert fell_deaf(own, 3.0, 4.0, 5.0) == []
    own.came_back(6, 5.5)
    assert fell_deaf(own, 6.0, 7.0, 8.0, 9.0) == [9.0]


def test_a_break_makes_nobody_deaf_but_heals_nobody() -> None:
    own = up()
    assert fell_deaf(own, 0.0, 1.0, 2.0) == []
    own.down()
    assert not own.is_up
    own.up(3.0)
    assert fell_deaf(own, 3.0, 4.0, 5.0, 6.0) == [6.0]
    own.down()
    own.up(7.0)
    assert own.is_deaf


def test_after_a_stall_sockets_are_read_before_it_is_judged() -> None:
    own = up()
    assert fell_deaf(own, 0.0, 1.0, 2.0, 60.0, 60.5) == []
    assert fell_deaf(own, 61.0) == [61.0]


def test_a_beat_that_is_written_when_a_stall_ends_is_not_judged_with_those_before_it() -> None:
    own = up()
    assert fell_deaf(own, 0.0, 1.0, 60.0, 60.1) == []
    assert own.due() == 61.0
    assert fell_deaf(own, 61.0) == [61.0]


def test_who_is_busy_with_what_others_published_is_not_deaf_yet() -> None:
    own = up()
    for now in range(3):
        own.write(float(now))
    own.busy(2.5)
    assert fell_deaf(own, 3.0, 4.5, 5.4) == []
    own.busy(5.4)
    assert fell_deaf(own, 7.0, 8.3) == []
    assert fell_deaf(own, 8.5) == [8.5]


def test_nobody_is_busy_for_ever() -> None:
    own = up()
    moments = []
    for quarter in range(600):
        now = quarter / 4
        own.write(now)
        own.busy(now)
        if own.fell_deaf(now):
            moments.append(now)
    assert moments[0] == MAX_BUSY


def test_who_has_nothing_on_its_way_is_not_made_deaf_by_being_busy() -> None:
    own = up()
    own.busy(0.0)
    own.write(0.0)
    own.busy(0.5)
    assert fell_deaf(own, 1.0) == []

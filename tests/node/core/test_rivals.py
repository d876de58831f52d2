"""Another process under a tag that is taken: when it is believed to live, and which of two twins yields."""

import pytest

from roomcast.core.rivals import TWIN_ROUNDS, TWIN_TIE_MS, Rival, TwinWatch, heard_again
from roomcast_brokers.messages import Origin

LEASE = 3
OWN = Origin("self", b"55555555")
SMALLER, LARGER = b"44444444", b"66666666"


def test_a_rival_lives_when_it_was_heard_before_and_after_a_beat_of_ours() -> None:
    rival = heard_again(None, SMALLER, 7, LEASE)
    assert not rival.lives
    assert heard_again(rival, SMALLER, 7, LEASE) is rival
    assert not rival.lives
    assert heard_again(rival, SMALLER, 8, LEASE) is rival
    assert rival.lives


@pytest.mark.parametrize(("epoch", "rounds"), [(LARGER, 8), (SMALLER, 7 + LEASE)])
def test_another_one_or_one_that_was_silent_for_a_lease_is_heard_for_the_first_time(epoch: bytes, rounds: int) -> None:
    rival = Rival(SMALLER, 7)
    again = heard_again(rival, epoch, rounds, LEASE)
    assert again is not rival
    assert (again.epoch, again.first, again.lives) == (epoch, rounds, False)


def seen(epoch: bytes, own_uptime_ms: int, uptime_ms: int) -> tuple[TwinWatch, list[bool | None]]:
    watch = TwinWatch(LEASE)
    return watch, [watch.heard(OWN, own_uptime_ms, epoch, uptime_ms, rounds) for rounds in (1, 1, 2, 3)]


@pytest.mark.parametrize(
    ("epoch", "older_by", "yields"),
    [
        (SMALLER, TWIN_TIE_MS, False),
        (LARGER, TWIN_TIE_MS, False),
        (SMALLER, -TWIN_TIE_MS, True),
        (LARGER, -TWIN_TIE_MS, True),
        (SMALLER, TWIN_TIE_MS - 1, False),
        (LARGER, TWIN_TIE_MS - 1, True),
        (SMALLER, 1 - TWIN_TIE_MS, False),
        (LARGER, 1 - TWIN_TIE_MS, True),
    ],
)
def test_the_younger_yields_or_the_one_with_the_smaller_epoch_and_it_is_told_once(
    epoch: bytes, older_by: int, yields: bool
) -> None:
    assert seen(epoch, 60_000 + older_by, 60_000)[1] == [None, None, yields, None]


@pytest.mark.parametrize(("epoch", "end"), [(SMALLER, None), (LARGER, True)])
def test_two_that_both_mean_to_stay_are_told_apart_by_their_epochs_in_the_end(epoch: bytes, end: bool | None) -> None:
    watch, told = seen(epoch, 90_000, 60_000)
    assert told[2] is False
    later = [watch.heard(OWN, 90_000, epoch, 60_000, 3 + each) for each in range(TWIN_ROUNDS)]
    assert later == [None] * (TWIN_ROUNDS - 1) + [end]


def test_one_that_said_goodbye_is_heard_for_the_first_time_if_it_is_heard_again() -> None:
    watch = TwinWatch(LEASE)
    watch.heard(OWN, 0, SMALLER, 0, 1)
    watch.gone(LARGER)
    watch.gone(SMALLER)
    assert watch.heard(OWN, 0, SMALLER, 0, 2) is None
    assert watch.heard(OWN, 0, SMALLER, 0, 3) is False

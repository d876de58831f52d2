"""How long it takes."""

from __future__ import annotations

from roomcast.doctor import timing


def test_two_pings_are_waited_for_but_not_for_ever() -> None:
    assert timing.watching(25, 60) == 51
    assert timing.watching(0.5, 60) == 2
    assert timing.watching(120, 60) == 60


def test_the_longest_is_known_before() -> None:
    quick = timing.longest(wait=60, quick=True, broker=False)
    assert quick < timing.longest(wait=60, quick=True, broker=True)
    assert (
        quick < timing.longest(wait=60, quick=False, broker=False) < timing.longest(wait=600, quick=False, broker=True)
    )
    assert timing.longest(wait=60, quick=False, broker=True) <= 100

from __future__ import annotations

from roomcast.core.probes import MAX_AT_ONCE, Probes


def test_a_probe_goes_out_at_once_and_again_until_it_is_heard() -> None:
    probes = Probes(0.25)
    probes.begin("a", 7)
    assert probes.take(10.0) == [("a", 7)]
    assert probes.take(10.2) == []
    assert probes.take(10.25) == [("a", 7)]
    assert probes.heard("a", 7)
    assert probes.take(11.0) == []
    assert not probes.heard("a", 7)
    assert len(probes) == 0


def test_one_of_an_earlier_subscription_confirms_nothing() -> None:
    probes = Probes(0.25)
    probes.begin("a", 1)
    probes.take(10.0)
    probes.end("a")
    assert not probes.heard("a", 1)
    probes.begin("a", 2)
    assert not probes.heard("a", 1)
    assert probes.heard("a", 2), "before its first probe of this life was taken: the broker keeps messages"
    assert not probes.heard("b", 0)


def test_what_is_asked_for_anew_is_probed_anew() -> None:
    probes = Probes(0.25)
    probes.begin("a", 1)
    probes.take(10.0)
    probes.begin("a", 1)
    assert len(probes) == 1
    assert probes.take(10.1) == [("a", 1)]


def test_after_a_break_nothing_is_left() -> None:
    probes = Probes(0.25)
    probes.begin("a", 1)
    probes.take(10.0)
    probes.begin("b", 2)
    probes.broken()
    assert probes.take(20.0) == []
    assert not probes.heard("a", 1)
    assert not probes.heard("b", 2)


def test_everybody_gets_a_turn_however_many_there_are() -> None:
    probes = Probes(0.25)
    channels = [f"c{number}" for number in range(2 * MAX_AT_ONCE + 10)]
    for number, channel in enumerate(channels):
        probes.begin(channel, number + 1)
    taken = [channel for _ in range(4) for channel, _ in probes.take(10.0)]
    assert taken == channels
    assert [channel for channel, _ in probes.take(11.0)] == channels[:MAX_AT_ONCE]
    assert [channel for channel, _ in probes.take(11.0)] == channels[MAX_AT_ONCE : 2 * MAX_AT_ONCE]
    assert len(probes.take(11.0)) == 10, "the first ones are not due again"
    assert len(probes) == len(channels)

from __future__ import annotations

from roomcast_brokers.subscribed import Subscribed


def test_a_channel_is_in_from_its_confirmation_to_its_unsubscribing() -> None:
    subscribed = Subscribed()
    subscribed.subscribe("c", 1)
    assert "c" not in subscribed
    assert subscribed.confirm("c", 1)
    assert "c" in subscribed
    assert subscribed.unsubscribe("c")
    assert "c" not in subscribed
    assert not subscribed.unsubscribe("c")


def test_what_was_overtaken_confirms_nothing() -> None:
    subscribed = Subscribed()
    assert not subscribed.confirm("never wanted", 1)
    subscribed.subscribe("c", 1)
    subscribed.unsubscribe("c")
    assert not subscribed.confirm("c", 1)
    subscribed.subscribe("c", 2)
    assert not subscribed.confirm("c", 1)
    assert "c" not in subscribed
    assert subscribed.confirm("c", 2)


def test_who_subscribes_anew_goes_on_hearing() -> None:
    subscribed = Subscribed()
    subscribed.subscribe("c", 1)
    subscribed.confirm("c", 1)
    subscribed.subscribe("c", 2)
    assert "c" in subscribed
    assert not subscribed.confirm("c", 1)
    assert subscribed.confirm("c", 2)
    assert subscribed.confirm("c", 2)  # after a break


def test_what_is_wanted_with_its_latest_generation() -> None:
    subscribed = Subscribed()
    for channel, generation in (("a", 1), ("b", 2), ("c", 3), ("a", 4)):
        subscribed.subscribe(channel, generation)
    subscribed.unsubscribe("b")
    assert list(subscribed.wanted().items()) == [("a", 4), ("c", 3)]

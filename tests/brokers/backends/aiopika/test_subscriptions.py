"""Which bindings are asked for, and which answers count."""

from __future__ import annotations

from roomcast_brokers.backends.aiopika.subscriptions import LONGEST_KEY, Subscriptions, routing_key


def connected() -> Subscriptions:
    subscriptions = Subscriptions()
    subscriptions.begin(bound=False)
    return subscriptions


def test_names_that_are_too_long_for_amqp_are_digests() -> None:
    assert routing_key("socketio:all") == b"socketio:all"
    assert routing_key("ü" * 127) == ("ü" * 127).encode()
    keys = {routing_key("x" * 255), routing_key("x" * 256), routing_key("x" * 257)}
    assert len(keys) == 3
    assert max(map(len, keys)) == LONGEST_KEY


def test_a_wish_is_bound_and_confirmed() -> None:
    assert not connected().changed
    subscriptions = connected()
    subscriptions.want("a", 7)
    assert subscriptions.changed
    bind, unbind = subscriptions.take()
    assert ([channel for channel, _ in bind], unbind) == (["a"], [])
    assert subscriptions.take() == ([], [])
    assert subscriptions.names == {}
    assert subscriptions.awaited == {"a"}
    assert subscriptions.bound(*bind[0]) == 7
    assert subscriptions.names == {b"a": "a"}
    assert subscriptions.awaited == set()


def test_only_the_last_wish_of_a_turn_is_sent() -> None:
    subscriptions = connected()
    for channel in ("kept", "left"):
        subscriptions.want(channel, 1)
    assert subscriptions.drop("kept")
    subscriptions.want("kept", 2)
    assert subscriptions.drop("left")
    bind, unbind = subscriptions.take()
    assert ([channel for channel, _ in bind], unbind) == (["kept"], [])
    assert subscriptions.bound(*bind[0]) == 2


def test_an_answer_to_an_earlier_wish_does_not_count_though_the_generation_is_the_same() -> None:
    subscriptions = connected()
    subscriptions.want("a", 1)
    (first,), _ = subscriptions.take()
    subscriptions.drop("a")
    assert subscriptions.take() == ([], ["a"])
    subscriptions.want("a", 1)
    (second,), _ = subscriptions.take()
    assert subscriptions.bound(*first) is None
    assert subscriptions.names == {}
    subscriptions.unbound("a")
    assert subscriptions.bound(*second) == 1


def test_one_that_is_wanted_anew_goes_on_being_told() -> None:
    subscriptions = connected()
    subscriptions.want("a", 1)
    subscriptions.bound(*subscriptions.take()[0][0])
    subscriptions.want("a", 2)
    assert subscriptions.names == {b"a": "a"}
    assert subscriptions.awaited == set()
    assert subscriptions.bound(*subscriptions.take()[0][0]) == 2


def test_what_was_dropped_is_not_told() -> None:
    subscriptions = connected()
    subscriptions.want("a", 1)
    subscriptions.bound(*subscriptions.take()[0][0])
    assert subscriptions.drop("a")
    assert not subscriptions.drop("a")
    assert subscriptions.names == {}
    assert subscriptions.take() == ([], ["a"])
    subscriptions.unbound("a")
    assert not subscriptions.changed


def test_at_a_new_connection_everything_is_bound_and_awaited_anew() -> None:
    subscriptions = connected()
    subscriptions.want("a", 1)
    subscriptions.want("b", 1)
    for each in subscriptions.take()[0]:
        subscriptions.bound(*each)
    subscriptions.drop("b")
    names = subscriptions.names
    subscriptions.begin(bound=False)
    assert subscriptions.awaited == {"a"}
    bind, unbind = subscriptions.take()
    assert ([channel for channel, _ in bind], unbind) == (["a"], []), "the queue is another one"
    assert subscriptions.names is names
    assert names == {}


def test_a_queue_that_stayed_has_bindings_that_nobody_wants_any_more() -> None:
    subscriptions = connected()
    for channel in ("a", "b", "c"):
        subscriptions.want(channel, 1)
    subscriptions.take()
    subscriptions.drop("b")
    subscriptions.take()  # and the connection broke before the answer
    subscriptions.drop("c")
    subscriptions.begin(bound=True)
    bind, unbind = subscriptions.take()
    assert [channel for channel, _ in bind] == ["a"]
    assert set(unbind) == {"b", "c"}
    for channel in unbind:
        subscriptions.unbound(channel)
    subscriptions.begin(bound=True)
    assert subscriptions.take()[1] == []


def test_renewing_awaits_everything_and_tells_meanwhile() -> None:
    subscriptions = connected()
    subscriptions.want("a", 5)
    subscriptions.bound(*subscriptions.take()[0][0])
    subscriptions.renew()
    assert subscriptions.awaited == {"a"}
    assert subscriptions.names == {b"a": "a"}
    assert subscriptions.bound(*subscriptions.take()[0][0]) == 5
    assert subscriptions.awaited == set()


def test_an_unbinding_that_is_answered_when_the_channel_is_wanted_again_changes_nothing() -> None:
    subscriptions = connected()
    subscriptions.want("a", 1)
    subscriptions.take()
    subscriptions.drop("a")
    subscriptions.take()
    subscriptions.want("a", 2)
    subscriptions.take()
    subscriptions.unbound("a")
    subscriptions.drop("a")
    assert subscriptions.take() == ([], ["a"])

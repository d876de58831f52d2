from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from roomcast_brokers.backends.redis.subscriptions import MAX_CHANNELS, Subscriptions, chunks


def test_only_the_last_wish_of_a_turn_is_sent() -> None:
    wishes = Subscriptions()
    wishes.want("a", 1)
    wishes.drop("a")
    wishes.want("a", 2)
    wishes.want("b", 3)
    wishes.drop("b")
    assert wishes.take() == ([b"a"], [])
    assert wishes.take() == ([], [])
    assert wishes.subscribed(b"a") == ("a", 2)


def test_subscribed_again_is_confirmed_again() -> None:
    wishes = Subscriptions()
    wishes.want("a", 1)
    wishes.take()
    assert wishes.subscribed(b"a") == ("a", 1)
    wishes.want("a", 2)
    assert wishes.take() == ([b"a"], [])
    assert wishes.subscribed(b"a") == ("a", 2)


def test_left_and_back_within_one_turn_is_subscribed_anew() -> None:
    wishes = Subscriptions()
    wishes.want("a", 1)
    wishes.take()
    wishes.subscribed(b"a")
    wishes.drop("a")
    wishes.want("a", 2)
    assert wishes.take() == ([b"a"], [])
    assert wishes.subscribed(b"a") == ("a", 2)


def test_the_answer_to_an_earlier_wish_confirms_nothing() -> None:
    wishes = Subscriptions()
    wishes.want("a", 1)
    assert wishes.take() == ([b"a"], [])
    wishes.drop("a")
    assert wishes.take() == ([], [b"a"])
    assert wishes.subscribed(b"a") is None  # of the first wish, and nobody wants it now
    wishes.want("a", 2)
    assert wishes.take() == ([b"a"], [])
    assert wishes.unsubscribed(b"a")
    assert wishes.subscribed(b"a") == ("a", 2)


def test_nor_does_it_when_the_channel_is_wanted_again() -> None:
    wishes = Subscriptions()
    for number in range(3):
        wishes.want("a", number)
        wishes.take()
        wishes.drop("a")
        wishes.take()
    wishes.want("a", 9)
    wishes.take()
    for _ in range(3):
        assert wishes.subscribed(b"a") is None
        assert wishes.unsubscribed(b"a")
    assert wishes.subscribed(b"a") == ("a", 9)


def test_names_are_of_what_is_wanted_now() -> None:
    wishes = Subscriptions()
    wishes.want("a", 1)
    wishes.want("ü", 1)
    assert wishes.names == {b"a": "a", "ü".encode(): "ü"}
    wishes.drop("a")
    wishes.drop("never wanted")
    assert wishes.names == {"ü".encode(): "ü"}


def test_unsubscribed_without_being_asked() -> None:
    wishes = Subscriptions()
    wishes.want("a", 1)
    wishes.take()
    assert not wishes.unsubscribed(b"a")
    assert wishes.unsubscribed(b"a stranger")


def test_moved_and_unsubscribed_at_once() -> None:
    """The server unsubscribes by itself, and then answers what it was asked as well."""
    wishes = Subscriptions()
    wishes.want("a", 1)
    wishes.take()
    wishes.drop("a")
    wishes.take()
    assert wishes.unsubscribed(b"a")
    assert wishes.unsubscribed(b"a")


def test_renewing() -> None:
    wishes = Subscriptions()
    for name in "ab":
        wishes.want(name, 1)
    wishes.take()
    wishes.renew({"b": 2, "c": 3})
    assert wishes.awaited == {b"b", b"c"}
    assert wishes.take() == ([b"b", b"c"], [b"a"])
    wishes.want("d", 4)  # is not waited for
    assert wishes.subscribed(b"b") == ("b", 2)
    assert wishes.awaited == {b"c"}
    wishes.drop("c")
    assert not wishes.awaited


def test_chunks() -> None:
    channels = [b"%d" % number for number in range(2 * MAX_CHANNELS + 1)]
    assert [len(chunk) for chunk in chunks(channels)] == [MAX_CHANNELS, MAX_CHANNELS, 1]
    assert [channel for chunk in chunks(channels) for channel in chunk] == channels
    assert chunks(channels[:3], 1) == [[b"0"], [b"1"], [b"2"]]
    assert chunks([]) == []


class Server:
    """What a server does with commands: it answers each channel, in order."""

    def __init__(self) -> None:
        self.subscribed: set[bytes] = set()
        self.answers: list[tuple[str, bytes]] = []

    def take(self, subscribe: list[bytes], unsubscribe: list[bytes]) -> None:
        self.subscribed |= set(subscribe)
        self.subscribed -= set(unsubscribe)
        self.answers += [("subscribed", each) for each in subscribe]
        self.answers += [("unsubscribed", each) for each in unsubscribe]


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(["want", "drop", "take", "answer"]), st.sampled_from("abc")), max_size=60))
def test_what_is_confirmed_is_subscribed_and_meant(steps: list[tuple[str, str]]) -> None:
    """Whatever is wanted, dropped, sent and answered in whatever order."""
    wishes, server = Subscriptions(), Server()
    wanted: dict[str, int] = {}

    def answer() -> None:
        what, channel = server.answers.pop(0)
        if what == "unsubscribed":
            assert wishes.unsubscribed(channel), "it was asked for"
        elif (confirmed := wishes.subscribed(channel)) is not None:
            name, generation = confirmed
            assert wanted[name] == generation
            still_to_come = [each for each in server.answers if each == ("unsubscribed", channel)]
            assert not still_to_come, "confirmed, and unsubscribed a moment later"

    for generation, (step, name) in enumerate(steps):
        if step == "want":
            wishes.want(name, generation)
            wanted[name] = generation
        elif step == "drop":
            wishes.drop(name)
            wanted.pop(name, None)
        elif step == "take":
            server.take(*wishes.take())
        elif server.answers:
            answer()
    server.take(*wishes.take())
    while server.answers:
        answer()
    assert server.subscribed == {name.encode() for name in wanted} == set(wishes.names)
    assert not wishes._unsubscribing

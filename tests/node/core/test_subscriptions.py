"""Channels wanted, confirmed and let go, as the table says, and in whatever order it happens."""

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from roomcast.core.subscriptions import CHANNEL, IS_CONFIRMED, LINGER, Change, Subscriptions


def wanted(channel: str = "a") -> tuple[Subscriptions, int]:
    subscriptions = Subscriptions()
    generation = subscriptions.want(channel, 0.0)
    assert subscriptions.take(0.0) == [Change(channel, generation)]
    return subscriptions, generation


def confirmed(channel: str = "a") -> tuple[Subscriptions, int]:
    subscriptions, generation = wanted(channel)
    assert subscriptions.confirmed(channel, generation, 1.0) == []
    return subscriptions, generation


def test_every_state_but_absent_knows_what_to_do_with_every_event_that_can_meet_it() -> None:
    events = {event for _, event in CHANNEL}
    states = set(CHANNEL.values())
    missing = {(state, event) for state in states for event in events} - set(CHANNEL)
    assert {(state, event) for state, event in missing if state != "absent" and event != "lingered"} == set()


def test_a_wanted_channel_is_subscribed_once_and_is_confirmed_by_the_broker() -> None:
    subscriptions, generation = wanted()
    assert subscriptions.want("a", 0.5) == generation
    assert subscriptions.take(0.5) == []
    assert not subscriptions.is_confirmed("a")
    assert (subscriptions.wanted_count, subscriptions.confirmed_count) == (1, 0)

    subscriptions.confirmed("a", generation, 1.0)
    assert subscriptions.is_confirmed("a")
    assert "a" in subscriptions
    assert subscriptions.since("a") == 1.0
    assert (subscriptions.wanted_count, subscriptions.confirmed_count) == (1, 1)


def test_what_the_back_end_has_said_holds_until_the_channel_is_unsubscribed() -> None:
    subscriptions, generation = wanted()
    subscriptions.told("a", generation + 1)
    subscriptions.told("b", generation)
    assert not subscriptions.is_told("a")
    subscriptions.told("a", generation)
    assert subscriptions.is_told("a")
    assert not subscriptions.is_confirmed("a")
    subscriptions.broken(1.0)
    assert subscriptions.is_told("a")
    subscriptions.drop("a", 2.0)
    assert subscriptions.is_told("a")
    subscriptions.tick(2.0 + LINGER)
    assert not subscriptions.is_told("a")
    subscriptions.want("a", 4.0)
    assert not subscriptions.is_told("a")


def test_what_nobody_wants_is_neither_confirmed_nor_known() -> None:
    subscriptions = Subscriptions()
    subscriptions.drop("a", 0.0)
    assert subscriptions.confirmed("a", 1, 0.0) == []
    assert not subscriptions.is_confirmed("a")
    assert "a" not in subscriptions
    assert subscriptions.since("a") is None
    assert not subscriptions.wait("a", "somebody")
    subscriptions.forget_waiter("a", "somebody")
    assert subscriptions.take(9.0) == []


def test_the_last_members_leaving_unsubscribes_a_little_later() -> None:
    subscriptions, _ = confirmed()
    subscriptions.drop("a", 2.0)
    subscriptions.drop("a", 2.5)
    assert subscriptions.is_confirmed("a")
    assert subscriptions.wanted_count == 0
    assert subscriptions.due() == 2.0 + LINGER
    assert subscriptions.tick(2.9) == []
    assert subscriptions.take(2.9) == []

    subscriptions.tick(3.0)
    assert subscriptions.take(3.0) == [Change("a", None)]
    assert not subscriptions.is_confirmed("a")
    assert subscriptions.confirmed_count == 0
    assert subscriptions.due() is None


def test_members_who_come_and_go_within_the_time_do_not_make_the_broker_work() -> None:
    subscriptions, generation = confirmed()
    subscriptions.drop("a", 2.0)
    assert subscriptions.want("a", 2.5) == generation
    subscriptions.tick(3.0)
    assert subscriptions.take(3.0) == []
    assert subscriptions.is_confirmed("a")

    subscriptions.drop("a", 3.5)
    subscriptions.tick(4.4)
    assert subscriptions.take(4.4) == []
    subscriptions.tick(4.5)
    assert subscriptions.take(4.5) == [Change("a", None)]


def test_join_leave_join_inside_one_round_trip_ends_with_the_latest_subscription() -> None:
    subscriptions, first = wanted()
    subscriptions.drop("a", 0.1)
    subscriptions.tick(1.1)
    second = subscriptions.want("a", 1.2)
    assert subscriptions.take(1.2) == [Change("a", None), Change("a", second)]
    assert second != first

    subscriptions.wait("a", "somebody")
    assert subscriptions.confirmed("a", first, 1.3) == []
    assert not subscriptions.is_confirmed("a")
    assert subscriptions.confirmed("a", second, 1.4) == ["somebody"]
    assert subscriptions.since("a") == 1.4


def test_a_confirmation_that_comes_after_the_last_member_left_still_counts_for_who_returns() -> None:
    subscriptions, generation = wanted()
    subscriptions.drop("a", 0.1)
    subscriptions.confirmed("a", generation, 0.2)
    subscriptions.want("a", 0.3)
    assert subscriptions.is_confirmed("a")


def test_waiters_come_back_once_with_the_confirmation() -> None:
    subscriptions, generation = wanted()
    assert subscriptions.wait("a", "one")
    assert subscriptions.wait("a", "two")
    assert subscriptions.wait("a", "three")
    subscriptions.forget_waiter("a", "two")
    subscriptions.forget_waiter("a", "two")
    assert subscriptions.confirmed("a", generation, 1.0) == ["one", "three"]
    assert subscriptions.confirmed("a", generation, 2.0) == []
    assert not subscriptions.wait("a", "four")
    assert subscriptions.since("a") == 1.0


def test_a_break_lets_everybody_go_and_unconfirms_everything_but_changes_nothing_at_the_broker() -> None:
    subscriptions, generation = confirmed()
    other = subscriptions.want("b", 1.0)
    subscriptions.take(1.0)
    subscriptions.wait("b", "somebody")
    assert subscriptions.broken(2.0) == ["somebody"]
    assert not subscriptions.is_confirmed("a")
    assert subscriptions.confirmed_count == 0
    assert subscriptions.take(2.0) == []

    assert subscriptions.wait("a", "another")
    assert subscriptions.confirmed("a", generation, 3.0) == ["another"]
    assert subscriptions.confirmed("b", other, 3.0) == []
    assert subscriptions.since("a") == 1.0  # counting goes on through breaks
    assert subscriptions.since("b") == 3.0


def test_a_channel_that_lingers_through_a_break_is_unsubscribed_all_the_same() -> None:
    subscriptions, generation = confirmed()
    subscriptions.drop("a", 2.0)
    subscriptions.broken(2.1)
    subscriptions.confirmed("a", generation, 2.2)
    subscriptions.drop("a", 2.3)
    subscriptions.tick(3.0)
    assert subscriptions.take(3.0) == [Change("a", None)]


def test_who_waits_when_the_last_member_leaves_is_let_go_at_the_end() -> None:
    subscriptions, _ = wanted()
    subscriptions.wait("a", "somebody")
    subscriptions.drop("a", 0.0)
    assert subscriptions.tick(LINGER) == ["somebody"]


def test_it_is_told_when_there_is_something_to_take_and_there_was_nothing() -> None:
    told = []
    subscriptions = Subscriptions(lambda: told.append(1))
    subscriptions.want("a", 0.0)
    subscriptions.want("b", 0.0)
    assert len(told) == 1
    subscriptions.take(0.0)
    subscriptions.want("c", 0.0)
    assert len(told) == 2


class Orders(RuleBasedStateMachine):
    """Any order of what can happen, with a broker that confirms late, or only after a break."""

    def __init__(self) -> None:
        super().__init__()
        self.subscriptions = Subscriptions()
        self.now = 0.0
        self.members: set[str] = set()
        self.left: dict[str, float] = {}
        self.broker: dict[str, int] = {}  # what it was told to subscribe
        self.confirmations: list[tuple[str, int]] = []
        self.waiting: list[int] = []
        self.waiters = 0

    @rule(channel=st.sampled_from("abc"))
    def join(self, channel: str) -> None:
        self.members.add(channel)
        self.left.pop(channel, None)
        self.subscriptions.want(channel, self.now)

    @rule(channel=st.sampled_from("abc"))
    def leave(self, channel: str) -> None:
        if channel in self.members:
            self.members.discard(channel)
            self.left[channel] = self.now
        self.subscriptions.drop(channel, self.now)

    @rule(channel=st.sampled_from("abc"))
    def wait(self, channel: str) -> None:
        self.waiters += 1
        if self.subscriptions.wait(channel, self.waiters):
            self.waiting.append(self.waiters)

    @rule()
    def tell_the_broker(self) -> None:
        for channel, generation in [(each.channel, each.generation) for each in self.subscriptions.take(self.now)]:
            if generation is None:
                del self.broker[channel]
            else:
                assert channel not in self.broker
                self.broker[channel] = generation
                self.confirmations.append((channel, generation))

    @rule()
    def confirm(self) -> None:
        for channel, generation in self.confirmations[:1]:
            self.ended(self.subscriptions.confirmed(channel, generation, self.now))
        del self.confirmations[:1]

    @rule()
    def break_and_return(self) -> None:
        self.ended(self.subscriptions.broken(self.now))
        assert self.waiting == []
        assert self.subscriptions.confirmed_count == 0
        self.confirmations = list(self.broker.items())

    @rule(seconds=st.sampled_from([0.3, 1.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.ended(self.subscriptions.tick(self.now))

    def ended(self, waiters: list[object]) -> None:
        for waiter in waiters:
            assert isinstance(waiter, int)
            self.waiting.remove(waiter)

    @invariant()
    def members_are_subscribed_and_the_rest_goes(self) -> None:
        channels = set("abc")
        assert self.members <= {each for each in channels if each in self.subscriptions}
        assert self.subscriptions.wanted_count == len(self.members)
        assert self.subscriptions.confirmed_count == sum(self.subscriptions.is_confirmed(each) for each in channels)
        for channel, left in self.left.items():
            assert self.now < left + LINGER or channel not in self.subscriptions

    def teardown(self) -> None:
        """Once everything is told and confirmed, the broker has what has members or lingers, and nobody waits."""
        self.tell_the_broker()
        while self.confirmations:
            self.confirm()
        assert self.members == {each for each in self.broker if each not in self.left}
        assert all(self.subscriptions.is_confirmed(each) for each in self.members)
        assert self.waiting == []


Orders.TestCase.settings = hypothesis_settings(max_examples=40, stateful_step_count=30, deadline=None)
TestOrders = Orders.TestCase


def test_what_counts_as_confirmed_is_in_the_table() -> None:
    assert set(CHANNEL.values()) >= IS_CONFIRMED

"""The broker over ends that do what they are told; and a few things that only real servers show."""

from __future__ import annotations

import contextlib
import threading
import time  # time: measures what is bounded
from collections.abc import Callable, Iterator

import pytest

from roomcast_brokers.backends.kombu import KombuBroker, broker
from roomcast_brokers.backends.kombu.ends import Confirmed, Delivered
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, State, Traits
from roomcast_brokers.errors import (
    BrokerClosedError,
    BrokerUnreachableError,
    BrokerURLError,
    MessageTooLargeError,
)
from roomcast_brokers.registry import create, create_sender, create_threaded
from tests.brokers.backends.kombu.played_ends import (
    URL,
    PlayedEnd,
    PlayedIntake,
    PlayedOutlet,
    PlayedWorld,
    lost,
    played,
)
from tests.support.listeners import ThreadListener
from tests.support.opened_threads import opened_threads
from tests.support.rabbitmq_server import RabbitServer
from tests.support.redis_groups import Sentinels
from tests.support.services import RedisServer, free_port, wait_for
from tests.support.tcp_proxy import TcpProxy

Call = Callable[[], object]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedWorld]:
    with played(monkeypatch) as each:
        yield each


# --- life -----------------------------------------------------------------------------------------------------------


def test_up_when_everything_is_confirmed_and_not_before(world: PlayedWorld) -> None:
    world.confirms = False
    one = KombuBroker(URL)
    one.subscribe("a", 1)
    one.subscribe("b", 2)
    one.unsubscribe("b")
    with opened_threads(one) as each:
        wait_for(lambda: world.intakes and world.intake.subscribed, "that it is asked for")
        assert world.intake.log[1:3] == ["change", ([("a", 1)], [])]
        with pytest.raises(BrokerUnreachableError, match="not reached"):
            one.publish("a", b"x")
        assert each.heard.events == []
        world.intake.come(Confirmed("a", 1))
        each.up()
        assert [event[:2] for event in each.heard.events] == [("confirmed", "a"), ("changed", State.UP)]
    assert each.heard.states == [State.UP, State.CLOSED]
    assert world.intake.closed is world.outlet.closed is True


def test_what_was_wished_while_it_is_not_up_yet(world: PlayedWorld) -> None:
    world.confirms = False
    one = KombuBroker(URL)
    one.subscribe("a", 1)
    with opened_threads(one) as each:
        wait_for(lambda: world.intakes and world.intake.subscribed, "that it is asked for")
        one.subscribe("b", 2)
        one.unsubscribe("a")
        wait_for(lambda: world.intake.subscribed == {"b": 2}, "that it is asked for")
        world.intake.come(Confirmed("a", 1), Confirmed("b", 2))
        each.up()
        assert each.heard.confirmations == [("b", 2)]


def test_only_the_latest_wish_is_confirmed_and_only_what_is_wanted_is_delivered(world: PlayedWorld) -> None:
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.hear_of("a")
        world.confirms = False
        one.subscribe("a", 2)
        one.subscribe("a", 3)
        wait_for(lambda: world.intake.subscribed == {"a": 3}, "that it is asked for")
        world.intake.come(Confirmed("a", 2), Delivered("a", b"1"), Confirmed("a", 3), Delivered("b", b"unheard"))
        each.wait(lambda heard: heard.generations["a"] == 3)
        one.unsubscribe("a")
        wait_for(lambda: not world.intake.subscribed, "that it is left")
        world.intake.come(Delivered("a", b"too late"), Delivered("c", b"x"))
        one.subscribe("c", 1)
        wait_for(lambda: "c" in world.intake.subscribed, "that it is asked for")
        world.intake.come(Confirmed("c", 1), Delivered("c", b"2"))
        each.wait(lambda heard: heard.payloads("c"))
        assert each.heard.messages == [("a", b"1"), ("c", b"2")]
        assert each.heard.confirmations == [("a", 1), ("a", 3), ("c", 1)]


def test_published_accepted_and_heard(world: PlayedWorld) -> None:
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.hear_of("a")
        for number in range(100):
            one.publish("a", b"%d" % number)
        each.wait(lambda heard: len(heard.payloads("a")) == 100 and heard.accepted_count == 100)
        assert [int(payload) for payload in each.heard.payloads("a")] == list(range(100))


@pytest.mark.parametrize("which", ["intake", "outlet"])
@pytest.mark.parametrize("descriptors", [False, True])
def test_a_break_of_either_is_a_break_of_both(world: PlayedWorld, which: str, descriptors: bool) -> None:
    world.descriptors = descriptors
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.hear_of("a", "b")
        before = [world.intake, world.outlet]
        getattr(world, which).fail("cut off")
        each.up_again()
        assert "cut off" in str(each.heard.causes)
        assert world.intake.log.count("change") == 1, "subscribed in one step"
        assert world.intake.subscribed == {"a": 1, "b": 1}
        wait_for(lambda: all(end.closed is False for end in before), "that both are closed")
        told = each.heard.events[-3:]
        assert [event[0] for event in told] == ["confirmed", "confirmed", "changed"]
        each.echoed("a", b"again")


def test_a_connection_that_ends_as_soon_as_it_is_made(world: PlayedWorld) -> None:
    def prepare(end: PlayedEnd) -> None:
        if isinstance(end, PlayedIntake) and len(world.intakes) == 1:
            end.close(farewell=False)

    world.prepare = prepare
    with opened_threads(KombuBroker(URL)) as each:
        each.up()
        assert each.heard.states == [State.CONNECTING, State.UP]


def test_nothing_of_before_a_break_is_accepted_after_it(world: PlayedWorld) -> None:
    world.accepts = False
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.up()
        for _ in range(3):
            one.publish("a", b"x")
        first = world.outlet
        wait_for(lambda: len(first.published) == 3, "that they are published")
        first.accept(1)
        each.wait(lambda heard: heard.accepted_count == 1)
        world.intake.fail()
        each.up_again()
        one.publish("a", b"y")
        wait_for(lambda: world.outlet.published, "that it is published")
        assert world.outlet.published == [("a", b"y")], "nothing is written again"
        world.outlet.accept(1)
        each.wait(lambda heard: heard.accepted_count == 2)


def test_away_and_tried_again_and_again(world: PlayedWorld) -> None:
    world.away = lost("nobody there")
    one = KombuBroker(URL)
    one.subscribe("a", 1)
    with opened_threads(one) as each:
        each.away("nobody there")
        with pytest.raises(BrokerUnreachableError):
            one.publish("a", b"x")
        world.until_tried(3)
        assert set(each.heard.states) == {State.CONNECTING}
        world.away = None
        each.up()
        assert each.heard.generations == {"a": 1}
    wait_for(lambda: all(outlet.closed is not None for outlet in world.outlets), "that all are closed")


def test_an_intake_that_cannot_connect_takes_the_outlet_with_it(world: PlayedWorld) -> None:
    def prepare(end: PlayedEnd) -> None:
        if isinstance(end, PlayedIntake) and len(world.intakes) == 1:
            end.failures["connect"] = lost("no more connections")

    world.prepare = prepare
    with opened_threads(KombuBroker(URL)) as each:
        each.up()
        assert "no more connections" in str(each.heard.causes)
        assert [outlet.closed for outlet in world.outlets] == [False, None]


@pytest.mark.parametrize("method", ["check", "change"])
def test_whatever_fails_in_the_intake(world: PlayedWorld, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "CHECK", 0.01)
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.up()
        world.intake.failures[method] = lost(f"at {method}")
        one.subscribe("a", 1)
        each.up_again()
        assert f"at {method}" in str(each.heard.causes)
        assert each.heard.generations == {"a": 1}


def test_subscriptions_that_are_not_confirmed(world: PlayedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "STALL", 0.05)
    world.confirms = False
    one = KombuBroker(URL)
    one.subscribe("a", 1)
    with opened_threads(one) as each:
        each.away("has not confirmed every subscription")
        world.confirms = True
        each.up()


def test_messages_that_are_not_taken(world: PlayedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and waited for over the same connection; while it is UP it is a break."""
    monkeypatch.setattr(broker, "CHECK", 0.01)
    with opened_threads(KombuBroker(URL)) as each:
        each.up()

        def prepare(end: PlayedEnd) -> None:
            if isinstance(end, PlayedOutlet):
                end.in_the_way = "short of memory"

        world.prepare = prepare
        world.outlet.obstruct("short of memory")
        each.away("short of memory")
        each.wait(lambda heard: heard.states.count(State.CONNECTING) == 2)
        attempts = len(world.outlets)
        assert attempts == 2
        world.outlet.obstruct(None)
        each.up_again()
        assert len(world.outlets) == attempts
        assert each.heard.states == [State.UP, State.CONNECTING, State.CONNECTING, State.UP]


def test_given_up_by_its_owner(world: PlayedWorld) -> None:
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.hear_of("a")
        one.reset()
        each.up_again()
        assert "were given up" in str(each.heard.causes)
        each.echoed("a", b"x")


def test_delays_grow_until_a_connection_has_held(world: PlayedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[int] = []

    def counted() -> Iterator[float]:
        began.append(1)
        while True:
            yield 0.0

    monkeypatch.setattr(broker, "delays", counted)
    with opened_threads(KombuBroker(URL)) as each:
        for number in range(3):
            each.up_again(number)
            world.intake.fail()
        each.up_again(3)
        assert len(began) == 1
        monkeypatch.setattr(broker, "STEADY", 0.0)
        world.intake.fail()
        each.up_again(4)
        assert len(began) == 2


def test_what_was_no_message_is_counted_over_breaks(world: PlayedWorld) -> None:
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.up()
        for count in (1, 2):
            world.intake.malformed = 2
            world.intake.poke()
            wait_for(lambda wanted=2 * count: one.malformed == wanted, "that they are counted")  # type: ignore[misc]
            world.intake.fail()
            each.up_again(count)


# --- the end --------------------------------------------------------------------------------------------------------


def test_what_was_handed_over_is_written_before_the_end(world: PlayedWorld) -> None:
    world.accepts = False
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.up()
        world.outlet.stuck.clear()
        for _ in range(3):
            one.publish("a", b"x")
        closing = threading.Thread(target=one.close)
        closing.start()
        world.outlet.stuck.set()
        wait_for(lambda: len(world.outlet.published) == 3, "that they are written")
        world.outlet.accept(3)
        closing.join()
        assert each.heard.events[-2:] == [("accepted", 3), ("changed", State.CLOSED, None)]
        calls: tuple[Call, ...] = (lambda: one.publish("a", b"x"), lambda: one.subscribe("a", 1), one.reset)
        for call in calls:
            with pytest.raises(BrokerClosedError):
                call()
        one.unsubscribe("a")


@pytest.mark.parametrize("stuck", [False, True])
def test_the_end_does_not_wait_for_ever(world: PlayedWorld, stuck: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "GOODBYE", 0.05)
    world.accepts = False
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.up()
        if stuck:
            world.outlet.stuck.clear()
        one.publish("a", b"never accepted")
        began = time.monotonic()
        one.close(0.1)
        assert time.monotonic() - began < 5.0
        each.wait(lambda heard: heard.state is State.CLOSED)


def test_closed_while_it_tries(world: PlayedWorld) -> None:
    world.away = lost()
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        world.until_tried(4)
        one.close()
        assert each.heard.states[-1] is State.CLOSED


def test_closed_by_who_is_told(world: PlayedWorld) -> None:
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.heard.on_event = lambda event: one.close() if event[:2] == ("changed", State.UP) else None
        each.wait(lambda heard: heard.states == [State.UP, State.CLOSED])


class Faulty(ThreadListener):
    """Raises, which no listener may."""

    def delivered(self, channel: str, payload: bytes) -> None:
        if payload == b"fault":
            raise RuntimeError("of the listener")
        super().delivered(channel, payload)


def test_a_fault_of_the_listener_is_a_break(world: PlayedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported, and the node goes on."""
    reported: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    one, heard = KombuBroker(URL), Faulty()
    one.subscribe("a", 1)
    one.open(heard)
    heard.until(lambda each: each.state is State.UP)
    one.publish("a", b"fault")
    heard.until(lambda each: each.breaks and each.state is State.UP)
    assert "something failed that should not" in str(heard.causes)
    one.publish("a", b"goes on")
    heard.until(lambda each: each.payloads("a") == [b"goes on"])
    one.close()
    assert [str(each.exc_value) for each in reported] == ["of the listener"]


def test_opened_once_and_closed_without_opening(world: PlayedWorld) -> None:
    one = KombuBroker(URL)
    calls: tuple[Call, ...] = (lambda: one.publish("a", b"x"), one.reset)
    for call in calls:
        with pytest.raises(BrokerClosedError):
            call()
    with opened_threads(one), pytest.raises(BrokerClosedError):
        one.open(ThreadListener())
    other = KombuBroker(URL)
    other.close()
    other.close()
    with pytest.raises(BrokerClosedError):
        other.open(ThreadListener())


def test_what_may_not_be_published(world: PlayedWorld) -> None:
    one = KombuBroker(URL)
    with opened_threads(one) as each:
        each.up()
        with pytest.raises(MessageTooLargeError):
            one.publish("a", b"x" * (MAX_MESSAGE_BYTES + 1))
        with pytest.raises(TypeError, match="bytes, not str"):
            one.publish("a", "text")  # type: ignore[arg-type]  # that is the point
        assert world.outlet.published == []


# --- by the registry, and with real servers ---------------------------------------------------------------------------


def test_by_its_url_in_every_colour() -> None:
    for make in (create, create_threaded, create_sender):
        one = make("kombu+redis://:secret@nobody.invalid", queue_options={"max_length": 5})
        assert one.traits == Traits(ordered_across_channels=True, cheap_subscriptions=False)
        with pytest.raises(BrokerURLError, match="no transport rediss3"):
            make("kombu+rediss3://nobody.invalid")
    assert isinstance(create_threaded("kombu+amqp://nobody.invalid"), KombuBroker)


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_nobody_there(scheme: str) -> None:
    """It is made and opened at once, and says why it is not UP."""
    with opened_threads(KombuBroker(f"kombu+{scheme}://me:hidden@127.0.0.1:{free_port()}")) as each:
        each.away("refused")
        each.wait(lambda heard: len(heard.states) >= 3)
        assert "hidden" not in str(each.heard.causes)


def test_a_wrong_password(rabbit: RabbitServer) -> None:
    with opened_threads(KombuBroker(f"kombu+{rabbit.url.replace('guest:guest', 'guest:hidden')}")) as each:
        each.away("ACCESS_REFUSED")
        assert "hidden" not in str(each.heard.causes)


def test_of_two_brokers_the_one_that_is_there(redis: RedisServer) -> None:
    with opened_threads(KombuBroker(f"kombu+redis://127.0.0.1:{free_port()};{redis.url}")) as each:
        each.hear_of("a")
        each.echoed("a", b"x")


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
@pytest.mark.long
def test_a_path_that_was_cut_is_noticed_within_five_seconds(
    rabbit: RabbitServer, redis: RedisServer, scheme: str
) -> None:
    """With a margin for a slow machine."""
    server = rabbit if scheme == "amqp" else redis
    with TcpProxy(server.port) as proxy:
        url = f"kombu+{server.url}".replace(str(server.port), str(proxy.port))
        with opened_threads(KombuBroker(url)) as each:
            each.hear_of("a")
            each.echoed("a", b"x")
            proxy.swallow()
            began = time.monotonic()
            each.wait(lambda heard: heard.breaks == 1, timeout=10.0)
            assert time.monotonic() - began < 7.0
            proxy.heal()
            each.up_again()


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["amqps", "rediss"])
def test_over_tls(scheme: str, rabbit: RabbitServer) -> None:
    """Large messages as well, of which TLS has decrypted more than has been read; and nobody without a certificate."""
    largest = bytes(MAX_MESSAGE_BYTES)
    with contextlib.ExitStack() as stack:
        if scheme == "amqps":
            url, authority = rabbit.tls_url.partition("?")[0], {"ca_certs": str(rabbit.certificate)}
        else:
            server = stack.enter_context(RedisServer(tls=True))
            url, authority = server.url.partition("?")[0], {"ssl_ca_certs": str(server.certificate)}
        one = KombuBroker(f"kombu+{url}", connection_options={"ssl": authority})
        with opened_threads(one) as each:
            each.hear_of("a")
            for number in range(300):
                one.publish("a", b"%d" % number)
            for _ in range(5):
                one.publish("a", largest)
            each.wait(lambda heard: len(heard.payloads("a")) == 305 and heard.accepted_count == 305, timeout=30.0)
            assert each.heard.payloads("a")[300:] == [largest] * 5
        with opened_threads(KombuBroker(f"kombu+{url}")) as each:
            each.away("CERTIFICATE_VERIFY_FAILED" if scheme == "amqps" else "certificate verify failed")


@pytest.mark.long
def test_the_master_that_sentinels_name() -> None:
    with Sentinels(password="secret") as group:
        url = "kombu+" + ";".join(f"sentinel://:secret@127.0.0.1:{sentinel.port}" for sentinel in group.sentinels)
        one = KombuBroker(url, connection_options={"transport_options": {"master_name": group.service}})
        with opened_threads(one) as each:
            each.hear_of("a")
            each.echoed("a", b"1")
            old = group.master
            old.kill()
            wait_for(lambda: group.master is not old, "a new master")
            each.up_again()
            each.wait(lambda heard: heard.state is State.UP)
            each.echoed("a", b"2")

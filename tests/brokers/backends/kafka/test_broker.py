"""The broker with real servers; what holds for every broker is in tests/contract."""

from __future__ import annotations

import logging
import threading
import time  # time: measures how soon a break is noticed, and what idling costs
from typing import Any

import pytest

from roomcast_brokers.backends.kafka import KafkaBroker
from roomcast_brokers.backends.kafka import broker as module
from roomcast_brokers.backends.kafka.location import parse
from roomcast_brokers.backends.kafka.session import SETTLING
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, State
from roomcast_brokers.errors import (
    AddressError,
    BrokerClosedError,
    BrokerUnreachableError,
    BrokerURLError,
    MessageTooLargeError,
)
from tests.brokers.backends.kafka.opened import SLOW, opened
from tests.brokers.backends.kafka.records import records
from tests.support.kafka_server import KafkaServer
from tests.support.listeners import Event
from tests.support.services import free_port

NOTICED_WITHIN = 5.0
"""Seconds until a server that stands still is known to."""


def test_what_it_is() -> None:
    traits = KafkaBroker("kafka://h").traits
    assert (traits.durable, traits.ordered_across_channels, traits.cheap_subscriptions) == (True, False, False)
    assert traits.confirms_subscriptions
    assert traits.shortest_beat == 0.0


def test_what_cannot_work_is_said_at_once() -> None:
    with pytest.raises(BrokerURLError, match="did you mean partitions"):
        KafkaBroker("kafka://h", partition=3)
    with pytest.raises(BrokerURLError, match="did you mean sasl_mechanism"):
        KafkaBroker("kafka://h", kafka_options={"sasl_mechanisms": "PLAIN"})


@pytest.mark.parametrize(("awaited", "patience"), [({"c:all"}, None), (set(), 0.0)])
def test_a_confirmation_is_waited_for_without_looking_all_the_time(awaited: set[str], patience: float | None) -> None:
    class Reached:
        """A session whose topics have settled long ago."""

        settled_at = 0.0

    session: Any = Reached()
    session.awaited = awaited
    assert KafkaBroker("kafka://h")._patience(session) == patience


def test_messages_that_cannot_be() -> None:
    broker = KafkaBroker(f"kafka://127.0.0.1:{free_port()}")
    with pytest.raises(TypeError, match="bytearray"):
        broker.publish("c:all", bytearray(b"x"))  # type: ignore[arg-type]  # that is the point
    with pytest.raises(MessageTooLargeError):
        broker.publish("c:all", bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(AddressError):
        broker.publish("a b:all", b"")
    with pytest.raises(AddressError):
        broker.subscribe("a b:all", 1)
    with pytest.raises(BrokerClosedError):
        broker.publish("c:all", b"")
    with pytest.raises(BrokerClosedError):
        broker.reset()
    broker.unsubscribe("a b:all")
    fixed = KafkaBroker("kafka://h/topic")
    fixed.subscribe("a b:all", 1)
    fixed.close()
    with pytest.raises(BrokerClosedError):
        fixed.subscribe("a b:all", 2)


def test_it_says_why_nobody_is_there() -> None:
    with opened(f"kafka://u:secret@127.0.0.1:{free_port()}") as each:
        each.away("ECONNREFUSED")
        assert "secret" not in str(each.heard.causes)
        with pytest.raises(BrokerUnreachableError, match="Kafka is away"):
            each.broker.publish("c:all", b"")
    assert each.heard.states[-1] is State.CLOSED


def test_a_topic_that_is_missing_is_a_cause_until_it_is_there(shared: KafkaServer, topic: str) -> None:
    with opened(f"{shared.url}?create=false") as each:
        each.broker.subscribe(f"{topic}:all", 1)
        each.away("there is no topic")
        shared.create_topic(topic, 2)
        each.up()
        each.echoed(f"{topic}:all", b"x")


def test_without_a_channel_it_is_up_and_makes_the_topic_that_is_published_to(shared: KafkaServer, topic: str) -> None:
    with opened(f"{shared.url}?partitions=2") as each:
        each.up()
        each.broker.publish(f"{topic}:all", b"x")
        each.broker.publish(f"{topic}:shard:1", b"y")
        each.wait(lambda heard: heard.accepted_count == 2)
    assert shared.topics()[topic] == 2
    assert records(shared, topic) == {0: [(f"{topic}:all", b"x")], 1: [(f"{topic}:shard:1", b"y")]}


def test_a_topic_that_cannot_be_had_is_a_break(shared: KafkaServer, topic: str) -> None:
    with opened(f"{shared.url}?create=false") as each:
        each.up()
        each.broker.publish(f"{topic}:all", b"x")
        each.away("there is no topic")
        each.up_again()
        assert each.heard.accepted_count == 0


def test_one_topic_for_several_clusters(shared: KafkaServer, topic: str) -> None:
    with opened(f"{shared.url}{topic}") as one, opened(f"{shared.url}?topic={topic}") as other:
        one.hear_of("shop:all")
        other.hear_of("other:all")
        one.broker.publish("other:all", b"for the other")
        one.echoed("shop:all", b"for me")
        other.wait(lambda heard: heard.messages)
        assert other.heard.messages == [("other:all", b"for the other")]
        assert one.heard.messages == [("shop:all", b"for me")]


def test_more_than_may_wait_is_a_break(shared: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who publishes must be able to take it for one: what came before may be lost."""
    with opened(shared.url) as each:
        channel = f"{topic}:all"
        each.hear_of(channel)
        monkeypatch.setattr(module, "MAX_WAITING_BYTES", 10)
        with pytest.raises(BrokerUnreachableError, match="more waits than may wait"):
            each.broker.publish(channel, bytes(11))
        each.up_again()
        assert "more waits than may wait" in str(each.heard.causes)
        monkeypatch.setattr(module, "MAX_WAITING_BYTES", 10_000)
        monkeypatch.setattr(module, "MAX_WAITING_MESSAGES", 0)
        with pytest.raises(BrokerUnreachableError):
            each.broker.publish(channel, b"")
        each.up_again(2)
        monkeypatch.setattr(module, "MAX_WAITING_MESSAGES", 10)
        for number in range(50):  # what is accepted waits no longer
            each.echoed(channel, b"%d" % number)


def test_what_changes_while_it_is_being_reached_is_confirmed_before_up(shared: KafkaServer, topic: str) -> None:
    """Whoever is told of the break may want something else at once."""
    broker = KafkaBroker(shared.url)
    with opened(shared.url) as each:
        broker = each.broker
        channels = [f"{topic}:shard:{number}" for number in range(20)]
        each.hear_of(*channels[:10])

        def change(event: Event) -> None:
            if event[:2] == ("changed", State.CONNECTING):
                for channel in channels[:5]:
                    broker.unsubscribe(channel)
                for channel in channels[10:]:
                    broker.subscribe(channel, 7)

        each.heard.on_event = change
        broker.reset()
        each.up_again()
        events = each.heard.events
        broken = next(index for index, event in enumerate(events) if event[:2] == ("changed", State.CONNECTING))
        up = next(index for index, event in enumerate(events) if index > broken and event[1] is State.UP)
        confirmed = {event[1] for event in events[broken:up] if event[0] == "confirmed"}
        assert confirmed == set(channels[5:])


@pytest.mark.long
def test_partitions_that_are_added_are_a_break_of_some_seconds(shared: KafkaServer, topic: str) -> None:
    shared.create_topic(topic, 2)
    channels = [f"{topic}:shard:{number}" for number in range(6)]
    with opened(shared.url) as each, opened(shared.url) as publisher:
        each.hear_of(*channels)
        publisher.up()
        for channel in channels:
            publisher.broker.publish(channel, b"before")
        publisher.wait(lambda heard: heard.accepted_count == len(channels))
        shared.add_partitions(topic, 5)
        for one in (each, publisher):
            one.up_again()
            assert "has 5 partitions now" in str(one.heard.causes)
        for channel in channels:
            publisher.broker.publish(channel, b"after")
        each.wait(lambda heard: len(heard.messages) >= 2 * len(channels), SLOW)
        assert all(each.heard.payloads(channel) == [b"before", b"after"] for channel in channels)
    assert len(records(shared, topic)) == 5


def test_a_topic_that_is_deleted_is_a_break(shared: KafkaServer, topic: str) -> None:
    channel = f"{topic}:all"
    with opened(shared.url) as each:
        each.hear_of(channel)
        each.echoed(channel, b"before")
        shared.delete_topic(topic)
        each.up_again()
        assert "is gone" in str(each.heard.causes)
        each.echoed(channel, b"after")
        assert each.heard.payloads(channel) == [b"before", b"after"]


def test_what_kafka_python_logs_is_left_to_the_user(
    shared: KafkaServer, topic: str, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("kafka")
    before = (logger.level, logger.propagate, list(logger.handlers), logger.disabled)
    with opened(shared.url) as each:
        each.hear_of(f"{topic}:all")
        each.broker.reset()
        each.up_again()
    assert (logger.level, logger.propagate, list(logger.handlers), logger.disabled) == before
    assert capfd.readouterr().err == ""


def test_a_broker_is_opened_once_and_closed_for_good(shared: KafkaServer, topic: str) -> None:
    with opened(shared.url) as each:
        each.up()
        each.broker.unsubscribe(f"{topic}:all")
        with pytest.raises(BrokerClosedError):
            each.broker.open(each.heard)
        each.broker.close()
        with pytest.raises(BrokerClosedError):
            each.broker.publish(f"{topic}:all", b"")
        with pytest.raises(BrokerClosedError):
            each.broker.open(each.heard)


def test_what_was_handed_over_is_written_before_the_end(shared: KafkaServer, topic: str) -> None:
    with opened(f"{shared.url}{topic}?partitions=1") as each:
        each.up()
        for number in range(2_000):
            each.broker.publish("c:all", b"%d" % number)
        each.broker.close(SLOW)
        assert each.heard.accepted_count == 2_000
        assert each.heard.events[-1] == ("changed", State.CLOSED, None)
    assert records(shared, topic) == {0: [("c:all", b"%d" % number) for number in range(2_000)]}


def test_a_fault_of_the_listener_ends_nothing(shared: KafkaServer, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda told: reported.append(told.exc_value))
    fault = ZeroDivisionError("the listener's")

    def fail(channel: str, payload: bytes) -> None:
        raise fault

    with opened(shared.url) as each:
        each.hear_of(f"{topic}:all")
        with monkeypatch.context() as patched:
            patched.setattr(each.heard, "delivered", fail)
            each.broker.publish(f"{topic}:all", b"1")
            each.up_again()
        each.echoed(f"{topic}:all", b"2")
    assert reported == [fault]


@pytest.mark.long
def test_a_password_that_becomes_right(secret: KafkaServer, topic: str) -> None:
    wrong = secret.url.replace("word@", "guess@")
    with opened(wrong) as each:
        each.broker.subscribe(f"{topic}:all", 1)
        each.wait(lambda heard: any("password" in str(cause) for cause in heard.causes), SLOW)
        assert "guess" not in str(each.heard.causes)
        each.broker._location = parse(secret.url)  # as if the server's had been changed
        each.up()
        each.echoed(f"{topic}:all", b"x")


@pytest.mark.long
def test_over_tls_with_a_password(secret: KafkaServer, topic: str) -> None:
    query: dict[str, Any] = {"ssl_cafile": str(secret.certificate), "sasl_plain_username": "roomcast"}
    options = {**query, "sasl_plain_password": secret.password}
    with opened(f"kafka://{secret.server}", kafka_options=options) as each:
        each.hear_of(f"{topic}:all")
        each.echoed(f"{topic}:all", b"x")


@pytest.mark.long
def test_a_server_that_stands_still_is_noticed_and_nothing_is_lost(own: KafkaServer, topic: str) -> None:
    channel = f"{topic}:all"
    with opened(own.url) as each, opened(own.url) as other:
        each.hear_of(channel)
        other.up()
        each.echoed(channel, b"before")
        own.suspend()
        since = time.monotonic()
        each.away("")
        assert time.monotonic() - since < NOTICED_WITHIN
        other.away("")
        own.resume()
        each.up_again()
        other.up_again()
        other.broker.publish(channel, b"after")
        each.wait(lambda heard: b"after" in heard.payloads(channel), SLOW)


@pytest.mark.long
def test_what_is_published_while_one_is_away_is_heard_later(own: KafkaServer, topic: str) -> None:
    channel = f"{topic}:all"
    with opened(own.url) as each, opened(own.url) as publisher:
        each.hear_of(channel)
        publisher.hear_of(channel)
        heard: list[bytes] = []
        for number in range(3):
            own.restart()
            publisher.up_again(number + 1)
            publisher.echoed(channel, b"%d" % number)
            heard.append(b"%d" % number)
            each.wait(lambda told, heard=heard: told.payloads(channel) == heard, SLOW)  # type: ignore[misc]


@pytest.mark.long
def test_after_retention_it_goes_on_where_the_log_begins(own: KafkaServer, topic: str) -> None:
    channel = f"{topic}:all"
    with opened(own.url) as each:
        each.hear_of(channel)
        own.suspend()
        each.away("")
        each.broker.unsubscribe("nobody's")
        own.resume()
        each.up_again()
        each.echoed(channel, b"here")


@pytest.mark.long
def test_doing_nothing_costs_little(own: KafkaServer, topic: str) -> None:
    """Measured with CPU seconds of this process, which does nothing else; loose, for slow machines."""
    with opened(own.url) as each:
        each.hear_of(*(f"{topic}:shard:{number}" for number in range(16)))
        before, since = time.process_time(), time.monotonic()
        with pytest.raises(AssertionError):
            each.wait(lambda heard: heard.breaks, SETTLING)
        share = (time.process_time() - before) / (time.monotonic() - since)
        assert share < 0.05

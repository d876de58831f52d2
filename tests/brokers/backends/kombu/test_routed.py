"""kombu's AMQP on a real RabbitMQ: what it declares, what it confirms, what it leaves behind, what it finds out."""

from __future__ import annotations

import zlib
from contextlib import AbstractContextManager
from typing import Any

import pytest

from roomcast_brokers.backends.kombu import routed
from roomcast_brokers.backends.kombu.link import Link
from roomcast_brokers.backends.kombu.routed import RoutedIntake, RoutedOutlet
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.kombu.setups import Taken, all_accepted, giving_out, setup, taking_in
from tests.support.rabbitmq_server import RabbitServer
from tests.support.services import wait_for


def taking(rabbit: RabbitServer, **options: Any) -> AbstractContextManager[Taken]:
    return taking_in(RoutedIntake(setup(rabbit.url, **options)))


def publishing(rabbit: RabbitServer, **options: Any) -> AbstractContextManager[RoutedOutlet]:
    return giving_out(RoutedOutlet(setup(rabbit.url, **options)))


def queue_of(taken: Taken) -> str:
    intake = taken.intake
    assert isinstance(intake, RoutedIntake)
    return str(intake._queue.name)


def declared(rabbit: RabbitServer, name: str) -> dict[str, Any] | None:
    return next((queue for queue in rabbit.queues() if queue["name"] == name), None)


def test_what_is_declared_and_that_it_goes(rabbit: RabbitServer) -> None:
    with taking(rabbit) as taken:
        taken.intake.change([("a", 1)], [])
        name = queue_of(taken)
        queue = declared(rabbit, name)
        assert queue is not None
        assert (queue["durable"], queue["auto_delete"], queue["exclusive"]) == (False, True, True)
        assert {name: value for name, *_, value in queue["arguments"]} == {
            "x-expires": 60_000,
            "x-message-ttl": 60_000,
            "x-max-length": 100_000,
            "x-max-length-bytes": 67_108_864,
        }
        assert ("roomcast", name, "a") in rabbit.bindings()
        assert queue["consumers"] == 1
    wait_for(lambda: not [each for each in rabbit.bindings() if name in each], "the end of the queue")


def test_published_confirmed_and_taken(rabbit: RabbitServer) -> None:
    with taking(rabbit) as taken, publishing(rabbit) as outlet:
        taken.intake.change([("a", 1), ("b", 2), ("c" * 300, 3)], [])
        assert taken.until_confirmed(3) == [("a", 1), ("b", 2), ("c" * 300, 3)]
        messages = [("a", b"1"), ("b", b""), ("nobody's", b"x"), ("c" * 300, bytes(range(256)) * 1_000), ("a", b"2")]
        outlet.publish(messages)
        all_accepted(outlet, 5)
        assert taken.until_messages(4) == [each for each in messages if each[0] != "nobody's"]
        outlet.publish([])
        taken.intake.change([("a", 4)], ["b", "never subscribed"])
        outlet.publish([("b", b"unheard"), ("a", b"3")])
        all_accepted(outlet, 2)
        assert taken.until_messages(5)[-1] == ("a", b"3")
        assert taken.confirmed[-1] == ("a", 4)
        taken.intake.check()
        outlet.check()
        outlet.wait(0)


def test_what_nobody_asked_for_is_dropped(rabbit: RabbitServer) -> None:
    """Somebody else has bound the queue, or an answer to the end of a binding is still to come."""
    with taking(rabbit) as taken, publishing(rabbit) as outlet:
        taken.intake.change([("a", 1)], [])
        intake: Any = taken.intake
        intake._queue.bind_to(intake._link.exchange, "b")
        outlet.publish([("b", b"unheard"), ("a", b"heard")])
        assert taken.until_messages(1) == [("a", b"heard")]


def test_compressed_where_both_sides_are(rabbit: RabbitServer) -> None:
    """Who has not asked for it gets the bytes as they were published: nobody can be made to blow them up."""
    zipped = {"producer_options": {"compression": "zlib"}}
    with taking(rabbit, **zipped) as taken, taking(rabbit) as plain, publishing(rabbit, **zipped) as outlet:
        for each in (taken, plain):
            each.intake.change([("zipped", 1)], [])
        outlet.publish([("zipped", b"x" * 1_000)])
        assert taken.until_messages(1) == [("zipped", b"x" * 1_000)]
        assert plain.until_messages(1) == [("zipped", zlib.compress(b"x" * 1_000))]
        channel = outlet._link.channel
        broken = channel.prepare_message(b"no zlib", headers={"compression": "zlib"})
        channel.basic_publish(broken, exchange="roomcast", routing_key="zipped")
        taken.until(lambda: taken.intake.malformed, "what cannot be read")
        assert plain.until_messages(2)[-1] == ("zipped", b"no zlib")


def test_a_queue_that_is_deleted_is_found_out(rabbit: RabbitServer) -> None:
    with taking(rabbit) as taken:
        rabbit.delete_queue(queue_of(taken))
        with pytest.raises(BrokerUnreachableError, match="ConsumerCancelled"):
            wait_for(taken.take, "that the queue is gone")
    with taking(rabbit) as taken:
        rabbit.delete_queue(queue_of(taken))
        with pytest.raises(BrokerUnreachableError, match=r"ConsumerCancelled|NotFound"):
            taken.intake.check()


@pytest.mark.long
def test_an_exchange_that_is_deleted_is_found_out(rabbit: RabbitServer) -> None:
    with publishing(rabbit) as outlet:
        rabbit.delete_exchange("roomcast")
        outlet.publish([("a", b"x")])
        with pytest.raises(BrokerUnreachableError, match="NOT_FOUND"):
            wait_for(outlet.accepted, "that the exchange is gone")
    with publishing(rabbit) as outlet:
        rabbit.delete_exchange("roomcast")
        with pytest.raises(BrokerUnreachableError, match="NOT_FOUND"):
            outlet.check()
    with publishing(rabbit), taking(rabbit) as taken:
        rabbit.delete_exchange("roomcast")
        with pytest.raises(BrokerUnreachableError, match="NOT_FOUND"):
            taken.intake.change([("a", 1), ("b", 1)], [])


def test_what_the_broker_refuses(rabbit: RabbitServer) -> None:
    with publishing(rabbit) as outlet:
        arguments = {"x-max-length": 0, "x-overflow": "reject-publish"}
        channel = outlet._link.channel
        queue = channel.queue_declare("", exclusive=True, arguments=arguments).queue
        channel.queue_bind(queue, "roomcast", "full")
        outlet.publish([("full", b"x")])
        with pytest.raises(BrokerUnreachableError, match="refused"):
            wait_for(outlet.accepted, "that it is refused")


def test_heartbeats_that_do_not_come(rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def missed(link: Link) -> None:
        raise ConnectionError("Too many heartbeats missed")

    with taking(rabbit) as taken, publishing(rabbit) as outlet:
        monkeypatch.setattr(Link, "heartbeat", missed)
        for check in (taken.intake.check, outlet.check):
            with pytest.raises(BrokerUnreachableError, match="heartbeats"):
                check()


def test_a_server_that_confirms_nothing(rabbit: RabbitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with publishing(rabbit) as outlet:
        outlet.publish([("a", b"x")])
        outlet.check()
        monkeypatch.setattr(routed, "STALL", -1.0)
        with pytest.raises(BrokerUnreachableError, match="confirmed nothing"):
            outlet.check()


@pytest.mark.long
def test_a_server_that_is_short_of_memory(rabbit: RabbitServer) -> None:
    rabbit.raise_memory_alarm()
    try:
        outlet = RoutedOutlet(setup(rabbit.url))
        outlet.connect()
        wait_for(lambda: outlet.accepted() or "short of memory" in str(outlet.obstacle()), "that it takes nothing")
        outlet.check()
    finally:
        rabbit.end_memory_alarm()
    wait_for(lambda: outlet.accepted() or outlet.obstacle() is None, "that it takes messages again")
    outlet.publish([("a", b"x")])
    all_accepted(outlet, 1)
    outlet.close(farewell=True)


def test_a_wrong_password(rabbit: RabbitServer) -> None:
    for make in (RoutedIntake, RoutedOutlet):
        end = make(setup(rabbit.url.replace("guest:guest", "guest:hidden")))
        with pytest.raises(BrokerUnreachableError, match="ACCESS_REFUSED") as caught:
            end.connect()
        assert "hidden" not in str(caught.value)
        end.close(farewell=False)


def test_let_go_of_in_a_child(rabbit: RabbitServer) -> None:
    outlet = RoutedOutlet(setup(rabbit.url))
    outlet.connect()
    outlet.forget()
    with pytest.raises(BrokerUnreachableError):
        outlet.publish([("a", b"x")])

"""What is declared, in each mode, and in which order."""

from __future__ import annotations

import pytest
from pamqp.base import Frame
from pamqp.commands import Basic, Channel, Exchange, Queue

from roomcast_brokers.backends.aiopika.location import parse
from roomcast_brokers.backends.aiopika.topology import CONSUMER, PREFETCH, TRANSIENT_EXPIRY_MS, Topology


def topology(options: str = "") -> Topology:
    return Topology(parse(f"amqp://h?{options}"))


def names(frames: list[Frame]) -> list[str]:
    return [frame.name for frame in frames]


def test_fast_a_fresh_queue_for_each_connection() -> None:
    one = topology("queue_bytes=2000000")
    assert names(one.begin()) == ["Channel.Open", "Exchange.Declare"]
    exchange = one.begin()[1]
    assert isinstance(exchange, Exchange.Declare)
    assert (exchange.exchange, exchange.exchange_type, exchange.durable) == ("roomcast", "direct", False)
    assert exchange.auto_delete is False, "who publishes is not to find it gone"
    (queue,) = one.declare()
    assert isinstance(queue, Queue.Declare)
    assert (queue.durable, queue.exclusive, queue.auto_delete) == (False, True, True)
    assert queue.arguments == {
        "x-expires": TRANSIENT_EXPIRY_MS,
        "x-message-ttl": TRANSIENT_EXPIRY_MS,
        "x-max-length-bytes": 2_000_000,
        "x-overflow": "drop-head",
    }
    first = one.queue
    assert first == queue.queue
    assert first.startswith("roomcast.")
    one.declare()
    assert one.queue != first
    (consume,) = one.consume()
    assert isinstance(consume, Basic.Consume)
    assert (consume.queue, consume.consumer_tag, consume.no_ack, consume.exclusive) == (one.queue, CONSUMER, True, True)
    assert one.end() == []


def test_durable_a_queue_that_is_cleared_once() -> None:
    one = topology("durable=1&node=n1&retention=60&queue_bytes=3000000&exchange=chat")
    assert names(one.begin()) == ["Channel.Open", "Confirm.Select", "Exchange.Declare"]
    exchange = one.begin()[2]
    assert isinstance(exchange, Exchange.Declare)
    assert (exchange.exchange, exchange.durable) == ("chat.durable", True)
    delete, declare = one.declare()
    assert isinstance(delete, Queue.Delete)
    assert (delete.queue, delete.if_unused, delete.if_empty) == ("chat.durable.n1", True, False)
    assert isinstance(declare, Queue.Declare)
    assert (declare.queue, declare.durable, declare.exclusive, declare.auto_delete) == (
        delete.queue,
        True,
        False,
        False,
    )
    assert declare.arguments == {
        "x-expires": 60_000,
        "x-message-ttl": 60_000,
        "x-max-length-bytes": 3_000_000,
        "x-overflow": "drop-head",
    }
    qos, consume = one.consume()
    assert isinstance(qos, Basic.Qos)
    assert isinstance(consume, Basic.Consume)
    assert (qos.prefetch_count, consume.no_ack, consume.exclusive) == (PREFETCH, False, True)
    one.claimed = True
    assert names(one.declare()) == ["Queue.Declare"]
    (delete,) = one.end()
    assert isinstance(delete, Queue.Delete)
    assert (delete.queue, delete.nowait) == (one.queue, True)


def test_without_a_node_each_has_a_queue_of_its_own() -> None:
    one, other = topology("durable=1"), topology("durable=1")
    assert one.end() == [], "none was declared"
    assert one.declare()[1].queue != other.declare()[1].queue  # type: ignore[attr-defined]
    assert topology("durable=1&node=a").node == "a"


def test_bindings() -> None:
    one = topology()
    one.declare()
    bind, unbind = one.bind("ü" * 200), one.unbind("a")
    assert isinstance(bind, Queue.Bind)
    assert isinstance(unbind, Queue.Unbind)
    assert (bind.queue, bind.exchange, bind.routing_key[:1]) == (one.queue, "roomcast", "#")
    assert (unbind.queue, unbind.exchange, unbind.routing_key) == (one.queue, "roomcast", "a")


@pytest.mark.parametrize(("code", "method"), [(403, (60, 20)), (405, (60, 20)), (406, (50, 40))])
def test_a_queue_that_somebody_uses(code: int, method: tuple[int, int]) -> None:
    close = Channel.Close(code, "ACCESS_REFUSED - in exclusive use", *method)
    told = topology("durable=1&node=n1").refused(close)
    assert "node n1 is in use: another process has the same node id" in str(told)
    assert "in exclusive use" in str(told.__cause__)
    assert "another process" not in str(topology().refused(close))


def test_any_other_reason() -> None:
    told = topology("durable=1").refused(Channel.Close(406, "PRECONDITION_FAILED - inequivalent arg", 40, 10))
    assert "inequivalent arg" in str(told)
    assert "another process" not in str(told)

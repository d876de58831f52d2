"""What kafka-python leaves out: causes, ends, and who rings."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, RequestTimedOutError

from roomcast_brokers.backends.kafka import network
from roomcast_brokers.backends.kafka.location import parse
from roomcast_brokers.backends.kafka.network import MAX_CAUSE, Bell, common, open_admin, opened, timed_out, unreachable
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.kafka_server import KafkaServer
from tests.support.services import free_port

SHORTLY = 0.2


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that accepts and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def failing(servers: str) -> BrokerUnreachableError:
    """What opening says; nothing is left of it."""
    before = threading.active_count()
    with pytest.raises(BrokerUnreachableError) as caught:
        open_admin(parse(f"kafka://{servers}"), 1.0)
    assert threading.active_count() == before
    return caught.value


def test_causes_are_told_in_a_line() -> None:
    told = unreachable(ValueError("x" * 1_000))
    assert str(told).startswith("Kafka cannot be reached: ValueError: xxx")
    assert len(str(told)) < MAX_CAUSE + 50
    assert isinstance(told.__cause__, ValueError)
    assert unreachable(told) is told
    assert str(unreachable(KafkaConnectionError("no"))) == "Kafka cannot be reached: KafkaConnectionError: no"


def test_what_came_too_late_is_told_from_what_failed() -> None:
    assert timed_out(unreachable(KafkaTimeoutError()))
    assert timed_out(unreachable(RequestTimedOutError()))
    assert not timed_out(unreachable(KafkaConnectionError()))


def test_nobody_there() -> None:
    assert "ECONNREFUSED" in str(failing(f"127.0.0.1:{free_port()}"))
    assert "ECONNREFUSED" in str(failing(f"127.0.0.1:{free_port()},127.0.0.1:{free_port()}"))


def test_somebody_who_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "GREETING_TIMEOUT", SHORTLY)
    with silent() as port:
        assert timed_out(failing(f"127.0.0.1:{port}"))


def test_options_that_kafka_python_refuses() -> None:
    with pytest.raises(BrokerUnreachableError, match="Unrecognized"):
        opened(KafkaAdminClient, {**common(parse("kafka://h")), "no_such_option": 1})


def test_one_of_several_is_enough(shared: KafkaServer) -> None:
    admin = open_admin(parse(f"kafka://127.0.0.1:{free_port()},{shared.server},127.0.0.1:{free_port()}"), 1.0)
    assert admin.describe_cluster()["brokers"]
    admin.close()


@pytest.mark.long
def test_who_one_is(secret: KafkaServer) -> None:
    wrong = parse(secret.url.replace("word@", "guess@"))
    with pytest.raises(BrokerUnreachableError, match=r"Invalid username or password|may be wrong") as caught:
        open_admin(wrong, 1.0)
    assert "guess" not in str(caught.value)
    open_admin(parse(secret.url), 1.0).close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    yield one, other
    one.close()
    other.close()


@pytest.mark.parametrize(("data", "rings"), [(("reader", None), 1), ((None, None), 0)])
def test_it_rings_when_what_was_read_has_been_dealt_with(
    data: object, rings: int, pair: tuple[socket.socket, socket.socket]
) -> None:
    rung: list[int] = []
    one, other = pair
    with Bell(lambda: rung.append(1)) as bell:
        bell.register(one, selectors.EVENT_READ | selectors.EVENT_WRITE, data)
        bell.select(0)  # it can be written
        bell.select(0)
        assert not rung
        other.send(b"x")
        assert bell.select(0)
        assert not rung
        one.recv(1)
        bell.select(0)
        assert len(rung) == rings
        bell.select(0)
        assert len(rung) == rings

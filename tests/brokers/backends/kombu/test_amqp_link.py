from __future__ import annotations

import socket

import pytest

from roomcast_brokers.backends.kombu.amqp_link import AmqpLink, routing_key
from roomcast_brokers.backends.kombu.ends import STALL
from roomcast_brokers.backends.kombu.link import translated
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.kombu.setups import setup
from tests.support.rabbitmq_server import RabbitServer
from tests.support.services import wait_for
from tests.support.stubborn_servers import answering


def test_what_stands_for_a_channel() -> None:
    assert routing_key("socketio:all") == "socketio:all"
    assert routing_key("é" * 127) == "é" * 127
    long = [routing_key("é" * 128), routing_key("é" * 129), routing_key("x" * 256)]
    assert len(set(long)) == 3
    assert all(key.startswith("#") and len(key) == 129 for key in long)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("farewell", [False, True])
def test_opened_and_closed(rabbit: RabbitServer, tls: bool, farewell: bool) -> None:
    options = {"connection_options": {"ssl": {"ca_certs": str(rabbit.certificate)}}} if tls else {}
    url = rabbit.tls_url.partition("?")[0] if tls else rabbit.url
    link = AmqpLink(setup(url, **options))
    link.open()
    assert link.raw.sock.gettimeout() == STALL, "nothing is waited for without an end"
    assert link.descriptor == link.raw.sock.fileno()
    assert link.read(10), "nothing has come"
    link.exchange.declare(passive=True)
    port = link.raw.sock.getsockname()[1]
    link.close(farewell=farewell)
    wait_for(lambda: not any(f":{port} ->" in str(each["name"]) for each in rabbit.connections()), "its end")
    link.close(farewell=farewell)


def test_how_much_is_read_in_one_go(rabbit: RabbitServer) -> None:
    link = AmqpLink(setup(rabbit.url))
    link.open()
    queue = link.channel.queue_declare("", exclusive=True).queue
    heard: list[bytes] = []
    link.channel.basic_consume(queue, no_ack=True, callback=lambda message: heard.append(message.body))
    for number in range(5):
        link.channel.basic_publish(link.channel.prepare_message(b"%d" % number), "", queue)
    wait_for(lambda: link.read(1) or len(heard) >= 2, "two messages")
    wait_for(lambda: link.read(100) and len(heard) == 5, "the rest")
    link.close(farewell=True)


def test_a_server_that_says_nothing_more() -> None:
    """Its greeting is all: py-amqp by itself would wait for ever."""
    with answering(b"") as port:
        link = AmqpLink(setup(f"amqp://127.0.0.1:{port}", connection_options={"connect_timeout": 0.2}))
        with pytest.raises(BrokerUnreachableError, match="timed out"), translated():
            link.open()
        link.close(farewell=False)


def test_forgotten_without_a_word(rabbit: RabbitServer) -> None:
    link = AmqpLink(setup(rabbit.url))
    link.forget()
    link.open()
    # As a child of a fork would have it: another descriptor of the same connection.
    with socket.socket(fileno=socket.dup(link.descriptor)) as parents:
        raw = link.raw
        link.forget()
        assert raw.sock.fileno() == -1
        parents.setblocking(False)
        with pytest.raises(BlockingIOError):
            parents.recv(1)

"""Writing and knowing: acknowledged, given up in time, and in the children of forks."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from roomcast_brokers.backends.zmq import Forwarder, ZmqBroker, ZmqSender
from roomcast_brokers.backends.zmq.sender import TIMEOUT
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, State, Traits
from roomcast_brokers.errors import (
    AddressError,
    BrokerClosedError,
    BrokerUnreachableError,
    BrokerURLError,
    MessageTooLargeError,
    SendError,
)
from tests.support.forwarders import ForwarderProcess, HalfHeartedForwarder, forwarding
from tests.support.listeners import RecordingListener


@pytest.fixture
def forwarder() -> Iterator[ForwarderProcess]:
    with forwarding() as process:
        yield process


@pytest.fixture
def sender(forwarder: ForwarderProcess) -> Iterator[ZmqSender]:
    sender = ZmqSender(forwarder.url)
    yield sender
    sender.close()


def numbered(count: int, size: int = 0) -> list[tuple[str, bytes]]:
    return [("a", b"%d " % number + bytes(size)) for number in range(count)]


@pytest.mark.parametrize(("count", "size"), [(1, 0), (10_000, 10), (30, 1_000_000)])
async def test_what_is_sent_is_there_in_its_order(forwarder: ForwarderProcess, count: int, size: int) -> None:
    broker, heard = ZmqBroker(forwarder.url), RecordingListener()
    broker.subscribe("a", 1)
    broker.open(heard)
    await heard.until(lambda heard: heard.state is State.UP)
    sender = ZmqSender(forwarder.url)
    await asyncio.to_thread(sender.send, numbered(count, size))
    await heard.until(lambda heard: len(heard.messages) >= count)
    assert [int(payload.split()[0]) for payload in heard.payloads("a")] == list(range(count))
    sender.close()
    await broker.close()


def test_traits() -> None:
    url = "zmq+tcp://127.0.0.1:1"
    assert ZmqSender(url).traits == ZmqBroker(url).traits == Traits(ordered_across_channels=True)


def test_to_send_nothing_is_to_look_whether_a_forwarder_is_there() -> None:
    sender = ZmqSender("zmq+tcp://127.0.0.1:1")
    with pytest.raises(SendError):
        sender.send([])
    sender.close()


def test_what_cannot_travel_is_refused_before_anything_is_sent() -> None:
    sender = ZmqSender("zmq+tcp://127.0.0.1:1")
    with pytest.raises(MessageTooLargeError):
        sender.send([("a", b"1"), ("a", bytes(MAX_MESSAGE_BYTES + 1))])
    with pytest.raises(AddressError):
        sender.send([("a", b"1"), ("a" * 2_000, b"")])
    sender.close()


def test_where_nobody_is_it_fails_at_once_and_works_when_somebody_is(
    forwarder: ForwarderProcess, sender: ZmqSender
) -> None:
    forwarder.kill()
    for _ in range(2):
        with pytest.raises(SendError) as caught:
            sender.send(numbered(2))
        assert caught.value.accepted == 0
        assert isinstance(caught.value.__cause__, BrokerUnreachableError)
    forwarder.start()
    sender.send(numbered(2))


def test_a_forwarder_that_was_restarted_in_between_is_reached_without_an_error(
    forwarder: ForwarderProcess, sender: ZmqSender
) -> None:
    for _ in range(3):
        sender.send(numbered(2))
        forwarder.kill()
        forwarder.start()


def test_one_that_does_not_answer_is_given_up_in_time(forwarder: ForwarderProcess) -> None:
    sender = ZmqSender(forwarder.url, timeout=0.3)
    forwarder.suspend()
    with pytest.raises(SendError, match=r"0\.3 s"):
        sender.send(numbered(1))
    forwarder.resume()
    sender.send(numbered(1))
    forwarder.suspend()
    with pytest.raises(SendError) as caught:
        sender.send(numbered(3))
    assert caught.value.accepted == 0
    forwarder.resume()
    sender.send(numbered(1))
    sender.close()
    assert TIMEOUT == 5.0


@pytest.mark.parametrize("goes", [False, True], ids=["says nothing more", "goes"])
def test_how_much_was_accepted_before_it_broke_is_told(goes: bool) -> None:
    with HalfHeartedForwarder(accepts=5, goes=goes) as url:
        sender = ZmqSender(url, timeout=0.5)
        with pytest.raises(SendError) as caught:
            sender.send(numbered(8))
        assert caught.value.accepted == 5
        sender.close()


def test_whatever_comes_in_between_the_next_answers_are_those_to_the_next_messages(
    forwarder: ForwarderProcess, sender: ZmqSender
) -> None:
    sender.send(numbered(1))
    forwarder.suspend()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGUSR1, interrupt)
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(KeyboardInterrupt):
            sender.send(numbered(5))
    finally:
        signal.signal(signal.SIGUSR1, former)
    forwarder.resume()
    sender.send(numbered(2))


def test_one_that_refuses_is_an_error(forwarder: ForwarderProcess, sender: ZmqSender) -> None:
    with Forwarder("zmq+tcp://127.0.0.1:0") as full:
        full.board.max_peers = 0
        refused = ZmqSender(full.url)
        with pytest.raises(SendError, match="too many clients"):
            refused.send(numbered(1))
        refused.close()


def test_after_close_there_is_nothing(sender: ZmqSender) -> None:
    sender.send(numbered(1))
    sender.close()
    sender.close()
    with pytest.raises(BrokerClosedError):
        sender.send(numbered(1))


def test_a_url_without_a_place_is_refused() -> None:
    with pytest.raises(BrokerURLError):
        ZmqSender("zmq+tcp://*:5555")


def test_as_a_listener_it_has_no_use_for_the_rest(sender: ZmqSender) -> None:
    sender.delivered("a", b"")
    sender.confirmed("a", 1)
    sender.changed(State.UP, None)


def test_a_child_of_a_fork_makes_its_own_connection_and_the_parent_keeps_its(
    forwarder: ForwarderProcess, sender: ZmqSender
) -> None:
    sender.send(numbered(1))
    for _ in range(3):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                sender.forget()
                sender.send(numbered(3))
                sender.close()
                os.write(writing, b"sent")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read() == b"sent"
        sender.send(numbered(2))


def test_to_forget_what_never_was_is_nothing(forwarder: ForwarderProcess) -> None:
    sender = ZmqSender(forwarder.url)
    sender.forget()
    sender.forget()
    sender.send(numbered(1))
    sender.close()

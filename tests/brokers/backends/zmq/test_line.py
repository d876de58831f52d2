"""One connection: what it takes, when it is readable, and that its end is noticed at once."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator

import pytest
import zmq

from roomcast_brokers.backends.zmq.addresses import Address, parse
from roomcast_brokers.backends.zmq.frames import MAX_FRAME_BYTES
from roomcast_brokers.backends.zmq.line import HIGH_WATER_FRAMES, READABLE, WRITABLE, Line, context
from tests.support.forwarders import short_folder
from tests.support.patience import PATIENCE

QUIET = 0.2
"""Seconds in which the kernel takes what it can take."""


class Peer:
    """A bare ROUTER at an address of its own."""

    def __init__(self, folder: str) -> None:
        self.address = Address(folder=folder)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = self._context.socket(zmq.ROUTER)
        self.router.setsockopt(zmq.LINGER, 0)
        self.router.setsockopt(zmq.RCVTIMEO, int(1_000 * PATIENCE))
        self.router.bind(self.address.endpoint)

    def close(self) -> None:
        self._context.destroy(0)


@pytest.fixture
def peer() -> Iterator[Peer]:
    with short_folder() as folder:
        peer = Peer(str(folder))
        yield peer
        peer.close()


def wait(line: Line, condition: Callable[[], object]) -> None:
    """As its users do: what is not so yet is announced by a descriptor."""
    while not condition():
        ready, _, _ = select.select(line.descriptors, [], [], PATIENCE)
        assert ready, "in vain"


def test_frames_go_both_ways(peer: Peer) -> None:
    line = Line(peer.address)
    assert line.send(b"there")
    identity, frame = peer.router.recv_multipart()
    assert frame == b"there"
    assert not line.events() & READABLE
    assert line.events() & WRITABLE
    peer.router.send_multipart([identity, b"back"])
    peer.router.send_multipart([identity, b"in", b"parts"])
    received = []
    for _ in range(3):
        wait(line, lambda: line.events() & READABLE)
        received.append(line.receive())
    assert received == [b"back", b"in", b"parts"]
    assert not line.broken()
    line.close()


def test_what_is_not_taken_is_refused_and_room_is_announced(peer: Peer) -> None:
    line = Line(peer.address)
    sent = 0
    while True:
        if line.send(bytes(300_000)):
            sent += 1
        elif not line.events() & WRITABLE and not select.select(line.descriptors, [], [], QUIET)[0]:
            break
    assert sent >= HIGH_WATER_FRAMES
    for _ in range(sent):
        peer.router.recv_multipart()
    wait(line, lambda: line.events() & WRITABLE)
    assert line.send(b"goes on")
    line.close()


def test_the_end_of_the_other_side_is_noticed(peer: Peer) -> None:
    line = Line(peer.address)
    line.send(b"hello")
    peer.router.recv_multipart()
    assert not line.broken()
    peer.close()
    wait(line, line.broken)
    line.close()


@pytest.mark.parametrize("url", ["zmq+ipc:///nowhere/at/all", "zmq+tcp://127.0.0.1:1"])
def test_so_is_that_nobody_is_there(url: str) -> None:
    line = Line(parse(url))
    wait(line, line.broken)
    line.close()


def test_and_that_somebody_hangs_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = Line(Address(host="127.0.0.1", port=server.getsockname()[1]))
        accepted, _ = server.accept()
        accepted.close()
        wait(line, line.broken)
        line.close()


def test_who_sends_too_much_is_cut_off(peer: Peer) -> None:
    line = Line(peer.address)
    line.send(b"hello")
    identity, _ = peer.router.recv_multipart()
    peer.router.send_multipart([identity, bytes(MAX_FRAME_BYTES + 1)])
    wait(line, line.broken)
    line.close()


def test_a_farewell_is_still_written(peer: Peer) -> None:
    line = Line(peer.address)
    line.send(b"first")
    line.close(b"farewell")
    line.close(b"again")
    assert [peer.router.recv_multipart()[1] for _ in range(2)] == [b"first", b"farewell"]


def test_without_one_nothing_lingers(peer: Peer) -> None:
    line = Line(parse("zmq+ipc:///nowhere/at/all"))
    line.close()
    line.close()


def test_an_address_that_cannot_be_leaves_nothing_open() -> None:
    with pytest.raises(zmq.ZMQError):
        Line(Address(host="no host", port=1))


def test_all_lines_of_a_process_share_one_context() -> None:
    assert context() is context()

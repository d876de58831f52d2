"""The forwarder: everybody's one broker, a ROUTER socket in a thread or in a process of its own.

``with Forwarder(url):`` runs one in a thread of this process; :func:`serve` is a whole process' work. All it does is to
carry frames between the socket and a :class:`Switchboard`, which knows what they mean.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from time import monotonic
from types import FrameType
from typing import Final, Self

import zmq

from roomcast_brokers.backends.zmq.addresses import Address, parse
from roomcast_brokers.backends.zmq.folder import ForwarderLock
from roomcast_brokers.backends.zmq.frames import MAX_FRAME_BYTES
from roomcast_brokers.backends.zmq.line import reason
from roomcast_brokers.backends.zmq.switchboard import Peer, Switchboard
from roomcast_brokers.errors import BrokerClosedError, BrokerError, BrokerURLError

# Frames that libzmq holds for, and of, each client; 40 MB each if every message is as large as it can be.
HIGH_WATER_FRAMES: Final = 32

# What is read before anything is written: enough to make large pages of it, a millisecond or so.
FRAMES_PER_TURN: Final = 64

# Who took nothing is tried again so often. libzmq does not say when one of many has room again.
AGAIN_MS: Final = 5

TICK_MS: Final = 1_000

# What was accepted is still delivered when the forwarder ends, if its receiver takes it within that time.
LINGER_MS: Final = 200

_NOBLOCK: Final = int(zmq.NOBLOCK)
_FIRST: Final = int(zmq.NOBLOCK) | int(zmq.SNDMORE)


class Forwarder:
    """``zmq+ipc:///path/to/folder`` or ``zmq+tcp://host:port``; port 0 is any that is free, and :attr:`url` tells it.

    ``with Forwarder(url):``, or :meth:`start` and :meth:`stop`. One object is started once. Its numbers
    (``board.dropped``, ``board.malformed``, ``board.refused``, ``board.peers``) may be read from any thread.
    """

    def __init__(self, url: str) -> None:
        self.board = Switchboard()
        self._address = parse(url)
        self._pid = os.getpid()
        self._lock: ForwarderLock | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._router: zmq.Socket[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._running = False
        # to wake the poll below, from a thread or from a signal's handler
        self._alarm: tuple[socket.socket, socket.socket] | None = None

    @property
    def url(self) -> str:
        """What clients take, once it is bound."""
        address = self._address
        if address.folder is not None:
            return f"zmq+ipc://{address.folder}"
        return f"zmq+tcp://{address.host}:{address.port}"

    def bind(self) -> None:
        """Take the address; clients may connect from now on, and are answered once it runs.

        Raises :class:`BrokerError` if another forwarder, or for tcp any other program, has it,
        :class:`BrokerURLError` if there can be none.
        """
        if self._context is not None or self._stopping:
            raise BrokerClosedError("a forwarder is started once; make another")
        if self._address.folder is not None:
            self._lock = ForwarderLock(self._address)
        self._alarm = socket.socketpair()
        self._context = zmq.Context()
        router = self._router = self._context.socket(zmq.ROUTER)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # say when a peer is gone, or takes nothing
        router.setsockopt(zmq.SNDHWM, HIGH_WATER_FRAMES)
        router.setsockopt(zmq.RCVHWM, HIGH_WATER_FRAMES)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        router.setsockopt(zmq.LINGER, LINGER_MS)
        router.setsockopt(zmq.TCP_KEEPALIVE, 1)
        router.setsockopt(zmq.IPV6, int(self._address.is_ipv6))
        try:
            self._address = _bind(router, self._address)
            if self._lock is not None:
                self._lock.protect()
        except (OSError, UnicodeError, zmq.ZMQError) as error:
            self._end()
            if isinstance(error, zmq.ZMQError):
                if error.errno == zmq.EADDRINUSE:
                    raise BrokerError("another forwarder, or another program, has this port") from error
                raise BrokerURLError(f"no forwarder can be here: {reason(error)}") from error
            raise BrokerURLError("no forwarder can be here: there is no such host") from error

    def start(self) -> None:
        """Bind and run in a thread. Raises as :meth:`bind`."""
        self.bind()
        self._thread = threading.Thread(target=self.run, name="roomcast-forwarder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and return when the address is free again. May be called twice, and without :meth:`start`."""
        if self._pid != os.getpid():
            return  # a child of a fork: it has no such thread, and the sockets are its parent's
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join()
        elif not self._running:
            self._end()

    def ask_to_stop(self) -> None:
        """Let :meth:`run` return soon; also from a signal's handler."""
        self._stopping = True
        if self._alarm is not None:
            try:
                self._alarm[1].send(b"\0")
            except OSError:
                pass  # it has ended already

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self) -> None:
        """Forward until asked to stop; then give up the address. After :meth:`bind`."""
        router = self._router
        assert router is not None
        assert self._alarm is not None
        self._running = True
        poller = zmq.Poller()
        poller.register(router, zmq.POLLIN)
        poller.register(self._alarm[0], zmq.POLLIN)
        ticked = again = monotonic()
        try:
            while not self._stopping:
                poller.poll(AGAIN_MS if self.board.blocked else TICK_MS)
                now = monotonic()
                self._read(router, now)
                if (now - again) * 1_000 >= AGAIN_MS:
                    again = now
                    self.board.again()
                if (now - ticked) * 1_000 >= TICK_MS:
                    ticked = now
                    self.board.tick(now)
                self._write(router)
        finally:
            self._end()

    def _read(self, router: zmq.Socket[bytes], now: float) -> None:
        received = self.board.received
        for _ in range(FRAMES_PER_TURN):
            try:
                identity = router.recv(_NOBLOCK)
            except zmq.Again:
                return
            # Not copied: a Frame knows whether another part follows, and asking the socket costs 2 µs.
            frame = router.recv(_NOBLOCK, False)
            if frame.more:  # nothing of ours has several parts
                while router.recv(_NOBLOCK, False).more:
                    pass
                self.board.malformed += 1
            else:
                received(identity, frame.buffer, now)

    def _write(self, router: zmq.Socket[bytes]) -> None:
        for identity, refusal in self.board.refusals():
            _send(router, identity, refusal)
        for peer in self.board.outgoing():
            self._write_to(router, peer)

    def _write_to(self, router: zmq.Socket[bytes], peer: Peer) -> None:
        while (frame := peer.next_frame()) is not None:
            match _send(router, peer.identity, frame):
                case True:
                    peer.written()
                case False:
                    self.board.stuck(peer)
                    return
                case None:
                    self.board.gone(peer)
                    return

    def _end(self) -> None:
        """Give up the address. In the thread that runs, because sockets belong to one thread."""
        context, self._context = self._context, None
        if context is not None:
            if self._router is not None:
                self._router.close()
            context.term()
        for end in self._alarm or ():
            end.close()
        if self._lock is not None:
            self._lock.release()


def serve(url: str, ready: Callable[[str], None] | None = None) -> None:
    """Be a forwarder until SIGTERM or SIGINT comes; in the main thread. ``ready`` is called with the URL for clients.

    Raises as :meth:`Forwarder.bind`.
    """
    forwarder = Forwarder(url)

    def stop(_number: int, _frame: FrameType | None) -> None:
        forwarder.ask_to_stop()

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        forwarder.bind()
        if ready is not None:
            ready(forwarder.url)
        forwarder.run()
    finally:
        forwarder.stop()
        for number, handler in former.items():
            signal.signal(number, handler)


def _bind(router: zmq.Socket[bytes], address: Address) -> Address:
    """Bind, and return the address with the port that it got."""
    if address.folder is not None:
        router.bind(address.endpoint)
        return address
    host = address.host
    if not address.is_ipv6 and host != "*":
        host = socket.gethostbyname(host)  # libzmq binds to numbers only
    router.bind(Address(host=host, port=address.port).endpoint)
    endpoint = router.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return Address(host=address.host, port=int(endpoint.rstrip(b"\0").rpartition(b":")[2]))


def _send(router: zmq.Socket[bytes], identity: bytes, frame: bytes) -> bool | None:
    """Whether it was taken; None if there is no such peer any more. What the first part passes, the second does too."""
    try:
        router.send(identity, _FIRST)
    except zmq.Again:
        return False
    except zmq.ZMQError as error:
        if error.errno == zmq.EHOSTUNREACH:
            return None
        raise
    router.send(frame, _NOBLOCK)
    return True

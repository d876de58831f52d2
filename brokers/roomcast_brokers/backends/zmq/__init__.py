"""``zmq+ipc://`` and ``zmq+tcp://``: the embedded broker for several processes of one machine, or of a few.

ZeroMQ has no broker and says nothing about what becomes of a message; our :class:`Forwarder` is one, and does. Each
client has one connection to it, DEALER to ROUTER, and the forwarder keeps the table of who wants which channel. The
alternative that comes to mind with ZeroMQ, PUB and SUB through a proxy, was not taken: its queues drop without a word,
a subscription is in force at some time that nobody learns, publisher and subscriber are two connections that break
apart, and nobody says that a message has arrived anywhere. Over one connection that both ends read in order, a count of
what was taken and an answer to each subscription are exact, order holds across channels, and a break is one event. What
libzmq's fan-out in C would save is saved by pages: what waits for a client goes in one frame.

``addresses``
    What a URL means.
``frames``
    What travels.
``switchboard``, ``session``
    The two ends without I/O: what the forwarder knows, and what a client may believe.
``line``, ``broker``, ``sender``
    A client's connection; on an event loop; in a thread that waits.
``forwarder``, ``folder``
    The forwarder as a thread or a process, and its place on the disk.

Bytes are not trusted, but whoever can connect may read and write everything: sign messages with a key, or mind who
reaches the folder or the port.
"""

from __future__ import annotations

from roomcast_brokers.backends.zmq.broker import ZmqBroker
from roomcast_brokers.backends.zmq.forwarder import Forwarder, serve
from roomcast_brokers.backends.zmq.sender import ZmqSender

__all__ = ["Forwarder", "ZmqBroker", "ZmqSender", "serve"]

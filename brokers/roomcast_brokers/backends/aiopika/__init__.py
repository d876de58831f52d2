"""RabbitMQ, for an event loop: ``amqp://`` and ``amqps://``.

The frames are pamqp's, those of aio-pika; URLs and options are read as aio-pika reads them. Its connection is not used:
a node's traffic would pay for a task, locks and futures for each message (:mod:`.connection` has the figures), and what
a connection has to declare, and when it is over, has to be known in one place.
"""

from __future__ import annotations

from roomcast_brokers.backends.aiopika.broker import AiopikaBroker

__all__ = ["AiopikaBroker"]

"""``kombu+<a URL of kombu's>``: every transport of kombu's that has fanout, for threads.

RabbitMQ and Redis are served in full; what each transport can do and why it is used as it is, stands in
:mod:`.manners`. For asyncio it is bridged. kombu is a detour where roomcast speaks to a broker itself: ``redis://``
costs a tenth of the processor time, ``amqp://`` has a durable mode.

``location``, ``manners``
    What a URL and options mean; how a transport is used.
``ends``
    What is common to all transports: an end that takes in, and one that lets out.
``routed``, ``topics``, ``broadcast``
    The ends on AMQP, on Redis, and on everything else.
``link``, ``amqp_link``, ``prompt``, ``spool``, ``confirms``
    What they are made of.
``broker``, ``publishing``, ``waking``, ``sender``
    The two threads of a broker, and the sender, which has none.
"""

from __future__ import annotations

from roomcast_brokers.backends.kombu.broker import KombuBroker
from roomcast_brokers.backends.kombu.sender import KombuSender

__all__ = ["KombuBroker", "KombuSender"]

"""``AsyncPubSubManager`` under the path that applications import it from."""

from __future__ import annotations

from roomcast.pubsub_managers import QueueManager


class AsyncPubSubManager(QueueManager):
    """See :class:`roomcast.pubsub_managers.QueueManager`."""


__all__ = ["AsyncPubSubManager"]

"""[hot] The half of a bus that is the same in every colour: what goes to the broker, and what is said of its state.

A bus joins one node to its cluster: it owns the connection to the broker, tells the cluster what the broker told it,
and hands over what the cluster has ready. Everything that is decided is decided in :mod:`roomcast.core.cluster`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from roomcast.core.cluster import Cluster, ClusterOptions
from roomcast_brokers.contracts import PublishesBatches, State
from roomcast_brokers.errors import BrokerUnreachableError

if TYPE_CHECKING:
    from roomcast.core.cluster_calls import ClusterCalls
    from roomcast.core.node import Node

logger = logging.getLogger("roomcast.cluster")

# Start-up waits so long (seconds) for the broker, so that the node has said hello before its first client comes.
# Without the broker it serves all the same.
HELLO_PATIENCE = 1.0
# What waits for the broker when the node stops has so long (seconds) to be taken, beside the 2 s in which a back end
# writes what it was given; looked at so often.
FLUSH_PATIENCE = 2.0
FLUSH_STEP = 0.02


class BusSurface:
    """``wall()`` is the time of day in milliseconds. The cluster exists from the beginning, so that applications can
    ask it; every later start takes a new one.
    """

    def __init__(
        self, node: Node, options: ClusterOptions, wall: Callable[[], int], random_bits: Callable[[int], int]
    ) -> None:
        self._node = node
        self._make_cluster = partial(Cluster, node, options, wall, random_bits)
        self._counters = node.counters.cluster
        self._unreachable = False
        self._used = False
        self._ended = False
        self._publish_batch: Callable[[Sequence[tuple[str, bytes]]], None] | None = None
        self.cluster = self._make_cluster()

    @property
    def calls(self) -> ClusterCalls | None:
        """What reaches the cluster; None from the end to the next start, when nothing would be answered, or end."""
        return None if self._ended else self.cluster.calls

    def renew(self, broker: Any) -> None:
        """A start, with that broker: the cluster is new unless this is the first; who wants to hear of gaps hears of
        its gaps too.
        """
        if self._used:
            hooks = self.cluster.confessions.on_gap
            self.cluster = self._make_cluster()
            self.cluster.confessions.on_gap = hooks
        self._used = True
        self._ended = False
        self._publish_batch = broker.publish_batch if isinstance(broker, PublishesBatches) else None

    def ends(self) -> None:
        """The broker is closed: ends for good what waits for other nodes."""
        self._ended = True
        self.cluster.changed(State.CLOSED)

    def hand_over(self, broker: Any) -> None:
        """Give the broker what the cluster has ready, in order."""
        cluster = self.cluster
        for change in cluster.take_changes():
            if change.generation is None:
                broker.unsubscribe(change.channel)
            else:
                broker.subscribe(change.channel, change.generation)
        messages = cluster.take_messages()
        if not messages:
            return
        try:
            if self._publish_batch is not None:
                self._publish_batch(messages)
            else:
                for channel, payload in messages:
                    broker.publish(channel, payload)
        except BrokerUnreachableError:
            # It has gone in this very turn; the cluster hears of that, and retries everything taken.
            logger.debug("the broker went away while messages were handed over")

    def log_change(self, state: State, cause: Exception | None) -> None:
        """Say once that the broker is away, and when it is there."""
        if state is State.UP:
            logger.info("the broker is there; this node is %s", self._node.sids.tag)
            self._unreachable = False
        elif not self._unreachable and (cause is not None or self._counters.broker_reconnects):
            self._unreachable = True
            logger.error("the broker is away (%s): local clients are served, and it is tried again and again", cause)

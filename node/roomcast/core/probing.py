"""What a node finds out by messages of its own on a channel: that it hears it, and that nothing older is to come.

The first where the back end cannot say that a channel is subscribed (cluster.md 6), the second where a durable one may
be behind on one channel and not on another (:mod:`roomcast.core.docket`). Both are probes, told apart by their tokens:
generations of subscriptions count from 1 up, the others from -1 down.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from roomcast.core.probes import Probes
from roomcast_brokers.messages import Kind, Probe

if TYPE_CHECKING:
    from roomcast.core.cluster import Cluster


class Probing:
    """The probes of one node. ``pause`` seconds after one that was not heard comes the next."""

    def __init__(self, cluster: Cluster, pause: float) -> None:
        self._cluster = cluster
        self._subscribed = Probes(pause)
        self._passed = Probes(cluster.beat_interval)
        self._tokens = count(-1, -1)

    def __len__(self) -> int:
        return len(self._subscribed) + len(self._passed)

    def begin(self, channel: str, generation: int) -> None:
        """The back end has asked for a channel, and cannot say more."""
        self._subscribed.begin(channel, generation)
        self.look()

    def look(self) -> None:
        """Let go out what is due; to be called every now and then."""
        cluster = self._cluster
        if not cluster.up:
            return
        for channel in cluster.tracking.docket.take_channels():
            self._passed.begin(channel, next(self._tokens))
        for probes in (self._subscribed, self._passed):
            for channel, token in probes.take(cluster.now):
                cluster.control(channel, Kind.PROBE, Probe(token))

    def heard(self, channel: str, token: int) -> Any:
        """One has come back; returns work."""
        cluster = self._cluster
        if self._subscribed.heard(channel, token):
            return cluster.hears(channel, token)
        if self._passed.heard(channel, token):
            cluster.tracking.docket.probed(channel, cluster.membership.clock)
        return None

    def end(self, channel: str) -> None:
        """It is not subscribed any more."""
        self._subscribed.end(channel)
        self._passed.end(channel)

    def broken(self) -> None:
        """The broker is away: what is on its way may not come back, and the back end asks for all channels again."""
        self._subscribed.broken()
        self._passed.broken()
        self._cluster.tracking.docket.broken()

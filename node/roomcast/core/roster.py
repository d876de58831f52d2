"""Who is in the cluster, as far as this node has heard: from the beats (cluster.md 8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from roomcast.core.membership import Membership


class NodeInfo(msgspec.Struct, frozen=True):
    """One node: its tag, seconds since its start, its clients by namespace, and whether it is the one that tells."""

    tag: str
    uptime: float
    clients: dict[str, int]
    is_self: bool


class Roster:
    """This node and its peers. ``clients`` tells how many clients this node has in each namespace right now."""

    __slots__ = ("_clients", "_membership")

    def __init__(self, membership: Membership, clients: Callable[[], Mapping[str, int]]) -> None:
        self._membership = membership
        self._clients = clients

    def nodes(self, now: float) -> list[NodeInfo]:
        """Every node that is alive, this one first, the others by tag. Of the others, what their latest beats said."""
        membership = self._membership
        own = NodeInfo(membership.origin.name, now - membership.started, dict(self._clients()), True)
        peers = sorted(membership.peers.items())
        return [own, *(NodeInfo(tag, peer.uptime_ms / 1000, dict(peer.clients), False) for tag, peer in peers)]

    def count(self, namespace: str) -> int:
        """Clients in that namespace, of the whole cluster."""
        peers = self._membership.peers.values()
        return self._clients().get(namespace, 0) + sum(peer.clients.get(namespace, 0) for peer in peers)

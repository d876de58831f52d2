"""``sio.cluster``: what an application may know about the cluster that its node is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from roomcast.core.roster import NodeInfo, Roster

if TYPE_CHECKING:
    from roomcast.core.cluster import Cluster
    from roomcast.core.node import Node

F = TypeVar("F", bound=Callable[..., Any])


class ClusterView:
    """Works without a broker too: then the node is the whole cluster. ``find()`` gives its cluster, or None."""

    def __init__(self, node: Node, find: Callable[[], Cluster | None]) -> None:
        self._node = node
        self._find = find
        self._hooks: list[Callable[..., Any]] = []

    @property
    def tag(self) -> str:
        """The name of this node: every sid that it gives begins with it."""
        return self._node.sids.tag

    def nodes(self) -> list[NodeInfo]:
        """Every node that is alive as far as this one has heard, itself first, the others by tag.

        Of the others: what their latest heartbeat said, which is at most a few seconds old.
        """
        cluster = self._find()
        if cluster is None:
            return [NodeInfo(self.tag, 0.0, self._node.clients_by_namespace(), True)]
        return Roster(cluster.membership, self._node.clients_by_namespace).nodes(self._node.engine.now)

    def count(self, namespace: str = "/") -> int:
        """Clients of that namespace on all nodes; of the others as :meth:`nodes`."""
        return sum(node.clients.get(namespace, 0) for node in self.nodes())

    def on_gap(self, hook: F) -> F:
        """Register a function, plain or coroutine, for messages of other nodes that were lost on the way here.

        It is called with a :class:`~roomcast.core.tracking.Gap` (origin, channel, count), as a task. May be used as a
        decorator.
        """
        self._hooks.append(hook)
        return hook

    @property
    def gap_hooks(self) -> list[Callable[..., Any]]:
        """The registered hooks; the list itself, so that later ones count too."""
        return self._hooks

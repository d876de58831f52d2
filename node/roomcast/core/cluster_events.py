"""What follows when a node comes, goes, returns or has our name, and when we are deaf (cluster.md 1, 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from roomcast.core.membership import Deaf, Event, HearsAgain, Joined, Left, Lost, Restarted, Returned, Twin
from roomcast.core.work import DrawTag, Report, ResetBroker, several
from roomcast_brokers.messages import Origin

if TYPE_CHECKING:
    from roomcast.core.cluster import Cluster


class ClusterEvents:
    """Turns what the membership of one node has found out into work."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def follow(self, events: Sequence[Event]) -> Any:
        """Do what follows from these; returns work."""
        return several(*[EVENTS[type(event)](self, event) for event in events]) if events else None

    def _joined(self, event: Joined) -> Any:
        # It need not wait for our next beat to know of us; on its own channel, or n nodes would tell n nodes.
        self._cluster.hello(self._cluster.channels.node(event.tag))
        return Report("info", f"node {event.tag} is there")

    def _restarted(self, event: Restarted) -> Any:
        return several(
            *self._cluster.relay.lost(Origin(event.tag, event.old_epoch)),
            Report("info", f"node {event.tag} has started anew"),
        )

    def _lost(self, event: Lost) -> Any:
        self._cluster.counters.peers_lost += 1
        works = self._cluster.relay.lost(Origin(event.tag, event.epoch), may_return=True)
        return several(*works, Report("warning", f"node {event.tag} was not heard of for a lease: it counts as lost"))

    def _left(self, event: Left) -> Any:
        works = self._cluster.relay.lost(Origin(event.tag, event.epoch))
        return several(*works, Report("info", f"node {event.tag} has left"))

    def _returned(self, event: Returned) -> Any:
        return Report("info", f"node {event.tag} is there again")

    def _found_twin(self, event: Twin) -> Any:
        """Another node has our tag. The younger one yields: its clients go, and come back under other sids."""
        name = self._cluster.origin.name
        if not event.yields:
            return Report("warning", f"another node runs under this one's tag {name}; it is the younger one and yields")
        self._cluster.subscriptions.drop(self._cluster.channels.node(name), self._cluster.now)
        if self._cluster.options.random_tag:
            self._cluster.node.sids.draw()  # at once: whoever comes from now on gets a sid that leads here
        leaving = self._cluster.node.engine.close_some(
            len(self._cluster.node.engine.sessions), "server shutting down", 1012
        )
        if self._cluster.options.random_tag:
            text = f"another node has drawn the same tag {name}: this one closes its clients and draws another"
            return several(Report("error", text), *leaving, DrawTag())
        self._cluster.node.engine.accepting = False
        text = (
            f"another node runs under the tag {name}, which was set for both: this one serves nobody until it is "
            "restarted with a tag of its own (tag=, ROOMCAST_TAG, --tag), or with none, which draws one"
        )
        return several(Report("error", text), *leaving)

    def _deaf(self, event: Deaf) -> Any:
        self._cluster.counters.deaf += 1
        if event.again:
            return ResetBroker()
        text = "this node does not hear itself through the broker: it is unready, and subscribes everything anew"
        return several(Report("error", text), ResetBroker())

    def _hears_again(self, _: HearsAgain) -> Any:
        return Report("info", "this node hears itself through the broker again")


EVENTS: dict[type[Any], Callable[[ClusterEvents, Any], Any]] = {
    Joined: ClusterEvents._joined,
    Restarted: ClusterEvents._restarted,
    Lost: ClusterEvents._lost,
    Left: ClusterEvents._left,
    Returned: ClusterEvents._returned,
    Twin: ClusterEvents._found_twin,
    Deaf: ClusterEvents._deaf,
    HearsAgain: ClusterEvents._hears_again,
}

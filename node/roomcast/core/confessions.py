"""What was lost on the way here, and what is told so that others can know what they lost (cluster.md 7)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roomcast.core.membership import MAX_PEERS, TAG_LENGTH
from roomcast.core.tracking import SLACK
from roomcast.core.work import Notify, Report, several
from roomcast_brokers.messages import Kind, Mark, Marks, MarksRequest, Origin

if TYPE_CHECKING:
    from roomcast.core.cluster import Cluster

# Marks in one message: 1,000 of them are at most 90 KB, far below what a broker message holds.
MARKS_PER_PAGE = 1_000
# Channels whose marks are asked for at a time.
CHANNELS_PER_REQUEST = 1_000
# Peers that are remembered as asked after a break; as many as there can be.
MAX_ASKED = MAX_PEERS


class Confessions:
    """The loss of one node. ``on_gap`` are the application's hooks, each called with every gap."""

    def __init__(self, cluster: Cluster) -> None:
        self.on_gap: list[Callable[..., Any]] = []
        self._cluster = cluster
        self._fresh: deque[str] = deque()  # channels without a beginning to count from
        self._asked: dict[Origin, None] = {}  # peers that there were after a break of ours, the latest last

    def begin(self, channel: str) -> None:
        """A subscription is confirmed: what is published from now on is not lost silently."""
        cluster = self._cluster
        if cluster.tracking.begin(channel, cluster.now):
            self._fresh.append(channel)

    def look(self) -> Any:
        """To be called every now and then; returns work.

        A second after its confirmation each channel gets a beginning: how far everybody is who ever published there.
        What comes next of somebody who published before, and is silent since, could otherwise be lost unseen, if a
        break hides its marks too.
        """
        cluster, fresh = self._cluster, self._fresh
        asked: list[str] = []
        while fresh and len(asked) < CHANNELS_PER_REQUEST:
            since = cluster.subscriptions.since(fresh[0])
            if since is not None and cluster.membership.clock - since <= SLACK:
                break
            channel = fresh.popleft()
            if since is not None:
                asked.append(channel)
        self._ask(asked, cluster.channels.everyone)
        return self.report()

    def ask_all(self) -> None:
        """After a break: how far is everybody, on all channels of this node?"""
        cluster = self._cluster
        for peer in cluster.membership.peers.values():
            self._asked.pop(peer.origin, None)
            self._asked[peer.origin] = None
        while len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        self._ask(cluster.subscriptions.channels(), cluster.channels.everyone)

    def hear_hello(self, origin: Origin, channel: str) -> None:
        """Somebody has reached the broker. It may not have heard what was asked after our own last break, if it was
        away itself: then it is asked once more, alone.
        """
        cluster = self._cluster
        if origin in self._asked and channel == cluster.channels.everyone:
            self._ask(cluster.subscriptions.channels(), cluster.channels.node(origin.name))

    def _ask(self, channels: list[str], whom: str) -> None:
        for at in range(0, len(channels), CHANNELS_PER_REQUEST):
            request = MarksRequest(tuple(channels[at : at + CHANNELS_PER_REQUEST]))
            self._cluster.control(whom, Kind.MARKS_REQUEST, request)

    def tell_marks(self, asker: Origin, channels: tuple[str, ...]) -> None:
        """Answer a request for marks, on the asker's own channel."""
        cluster = self._cluster
        channel = cluster.channels.node(asker.name)
        for marks in pages(cluster.sequences.marks_of(channels or None, cluster.now)):
            cluster.control(channel, Kind.MARKS, Marks(marks))

    def hear_marks(self, origin: Origin, marks: tuple[Mark, ...]) -> None:
        """Somebody tells how far it is; what is not subscribed here is nobody's business."""
        cluster = self._cluster
        for mark in marks:
            if mark.channel in cluster.subscriptions:
                cluster.tracking.mark(origin, mark, cluster.membership.clock)

    def report(self) -> Any:
        """Tell the application what was lost since the last time, and end what waits for that."""
        cluster = self._cluster
        gaps = cluster.tracking.take_gaps()
        if not gaps:
            return None
        unheard = [node for node in cluster.tracking.take_unheard() if len(node.name) == TAG_LENGTH]
        works: list[Any] = [work for node in unheard for work in cluster.relay.missed(node)]
        lost = sum(gap.count for gap in gaps)
        works += [Report("warning", f"{lost} operations of other nodes were lost on the way here")]
        works += [Notify(hook, (gap,)) for gap in gaps for hook in self.on_gap]
        return several(*works)


def pages(marks: list[Mark]) -> list[tuple[Mark, ...]]:
    """The marks in messages of a bounded size; none for no marks."""
    return [tuple(marks[at : at + MARKS_PER_PAGE]) for at in range(0, len(marks), MARKS_PER_PAGE)]

"""``sio.cluster``, with a cluster behind it and without one."""

from __future__ import annotations

from typing import Any

from roomcast.core.cluster_view import ClusterView
from roomcast.core.roster import NodeInfo
from tests.support.played import TAG, Stage
from tests.support.world import World


def test_a_server_that_stands_alone_is_the_whole_cluster() -> None:
    stage = Stage(namespaces="*")
    view = ClusterView(stage.node, lambda: None)
    assert view.tag == TAG
    assert view.nodes() == [NodeInfo(TAG, 0.0, {}, True)]
    stage.joins()
    stage.joins("/chat")
    stage.joins("/chat")
    assert view.nodes() == [NodeInfo(TAG, 0.0, {"/": 1, "/chat": 2}, True)]
    assert (view.count(), view.count("/chat"), view.count("/nowhere")) == (1, 2, 0)


def test_in_a_cluster_everybody_is_seen_from_everywhere() -> None:
    world = World()
    a, b = world.nodes("aaaa", "bbbb")
    a.client()
    b.client()
    b.client("/chat")
    world.advance(2)
    for here, there in ((a, b), (b, a)):
        view = ClusterView(here.node, lambda here=here: here.cluster)  # type: ignore[misc]  # bound now
        own, other = view.nodes()
        assert (own.tag, own.is_self, other.tag, other.is_self) == (here.tag, True, there.tag, False)
        assert own.uptime == 2.0
        assert 1.0 <= other.uptime <= 2.0
        assert own.clients == here.node.clients_by_namespace()
        assert other.clients == there.node.clients_by_namespace()
        assert (view.count(), view.count("/chat")) == (2, 1)


def test_hooks_that_come_late_count_too() -> None:
    view = ClusterView(Stage().node, lambda: None)
    hooks = view.gap_hooks

    @view.on_gap
    def hook(gap: Any) -> None:
        """Nothing is lost here."""

    assert hooks == [hook]

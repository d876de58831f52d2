"""What is asked of others about loss, and within which bounds; what it leads to shows in test_cluster_losses.py."""

from __future__ import annotations

import pytest

from roomcast.core import confessions
from roomcast_brokers.channels import Channels
from roomcast_brokers.messages import Kind, Mark, MarksRequest
from tests.support.world import CLUSTER, World

CHANNELS = Channels(CLUSTER)


def requests(world: World, channel: str) -> list[str]:
    """Who has asked for marks on that channel."""
    return [origin for origin, where, _ in world.published(Kind.MARKS_REQUEST) if where == channel]


def test_marks_come_in_pages() -> None:
    marks = [Mark(f"channel{number}", 1, 0, 1, 0) for number in range(2 * confessions.MARKS_PER_PAGE + 1)]
    pages = confessions.pages(marks)
    assert [mark for page in pages for mark in page] == marks
    assert max(map(len, pages)) == confessions.MARKS_PER_PAGE


def test_who_comes_back_after_our_own_break_is_asked_once_more_and_alone() -> None:
    world = World()
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    a.way.break_off()
    b.way.break_off()
    a.way.restore()
    world.settle()
    assert requests(world, CHANNELS.node("bbbb")) == []
    b.way.restore()
    world.settle()
    assert requests(world, CHANNELS.node("bbbb")) == ["aaaa"], "c has had no break"
    assert requests(world, CHANNELS.node("cccc")) == []
    assert c.peers == ["aaaa", "bbbb"]


def test_peers_that_were_asked_are_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confessions, "MAX_ASKED", 2)
    world = World()
    a, *others = world.nodes("aaaa", "bbbb", "cccc", "dddd")
    a.way.reset()
    world.settle()
    for other in others:
        other.way.reset()
        world.settle()
    asked = [other.tag for other in others if requests(world, CHANNELS.node(other.tag))]
    assert len(asked) == 2


def test_a_channel_that_was_left_meanwhile_is_not_asked_about() -> None:
    world = World()
    (a,) = world.nodes("aaaa")
    anna = a.client()
    world.advance(5)
    a.enter(anna.sid, "room")
    world.settle()
    a.leave(anna.sid, "room")
    world.advance(5)
    asked = [
        name
        for _, _, body in world.published(Kind.MARKS_REQUEST)
        if isinstance(body, MarksRequest)
        for name in body.channels
    ]
    assert set(asked) <= {CHANNELS.everyone, CHANNELS.node("aaaa"), CHANNELS.room("/", "room")}
    assert asked.count(CHANNELS.everyone) == 1

"""The half of a bus that has no colour: what goes to the broker, in which order, and what is written down."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from roomcast.core.bus import BusSurface
from roomcast.core.cluster import ClusterOptions
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.played import Stage
from tests.support.scripted_brokers import ScriptedBroker

ALL = Channels("shop").everyone


class BatchBroker(ScriptedBroker):
    """Has the ability to take what a turn has made in one go."""

    def publish_batch(self, messages: Sequence[tuple[str, bytes]]) -> None:
        if self.refuses:
            raise BrokerUnreachableError("refused, as scripted")
        self.calls.append(("publish_batch", len(messages)))


class Line:
    """A bus that begins with a broker, which is there at once."""

    def __init__(self, make: type[ScriptedBroker] = ScriptedBroker) -> None:
        self.stage = Stage()
        numbers = iter(range(1, 100))
        options = ClusterOptions(name="shop", keys=None, traits=Traits(), random_tag=False)
        self.bus = BusSurface(self.stage.node, options, lambda: 1_000, lambda bits: next(numbers))
        self.broker = make()

    def begins(self) -> None:
        self.bus.renew(self.broker)
        self.bus.cluster.start()
        for change in self.bus.cluster.take_changes():
            assert change.generation is not None
            self.bus.cluster.confirmed(change.channel, change.generation)
        self.bus.cluster.changed(State.UP)
        self.bus.hand_over(self.broker)
        self.broker.calls.clear()

    def emits(self, *rooms: Any) -> None:
        for room in rooms:
            self.bus.cluster.calls.emit("e", None, room, None, "/", False)


@pytest.fixture
def line() -> Line:
    begun = Line()
    begun.begins()
    return begun


def names(broker: ScriptedBroker) -> list[Any]:
    return [(name, *arguments[:1]) for name, *arguments in broker.calls]


def test_what_is_ready_is_handed_over_in_order(line: Line) -> None:
    line.emits(None, "x", None)
    line.bus.hand_over(line.broker)
    room = Channels("shop").room("/", "x")
    assert names(line.broker) == [("publish", ALL), ("publish", room), ("publish", ALL)]
    line.broker.calls.clear()
    line.bus.hand_over(line.broker)
    assert not line.broker.calls


def test_a_broker_that_takes_it_whole_gets_it_whole() -> None:
    line = Line(BatchBroker)
    line.begins()
    line.emits(None, "x", None)
    line.bus.hand_over(line.broker)
    assert names(line.broker) == [("publish_batch", 3)]


def test_channels_are_subscribed_and_left(line: Line) -> None:
    _, sid = line.stage.joins()
    line.stage.node.enter_room(sid, "x", "/")
    line.bus.hand_over(line.broker)
    room = Channels("shop").room("/", "x")
    assert ("subscribe", room) in names(line.broker)
    line.broker.calls.clear()
    line.stage.node.hub.close_room("/", "x")
    line.stage.driver.advance(60)
    line.bus.hand_over(line.broker)
    assert ("unsubscribe", room) in names(line.broker)


@pytest.mark.parametrize("make", [ScriptedBroker, BatchBroker])
def test_a_broker_that_goes_in_this_very_moment_is_no_error(make: type[ScriptedBroker]) -> None:
    line = Line(make)
    line.begins()
    line.broker.refuses = True
    line.emits(None)
    line.bus.hand_over(line.broker)
    assert not line.broker.calls


def test_the_first_start_uses_the_cluster_that_there_is_every_later_one_another(line: Line) -> None:
    first, hooks = line.bus.cluster, line.bus.cluster.confessions.on_gap
    again = Line()
    before = again.bus.cluster
    again.begins()
    assert again.bus.cluster is before
    line.begins()
    assert line.bus.cluster is not first
    assert line.bus.cluster.origin != first.origin
    assert line.bus.cluster.confessions.on_gap is hooks


def test_from_the_end_to_the_next_start_nothing_reaches_the_cluster(line: Line) -> None:
    reached = [line.bus.calls]
    line.bus.ends()
    reached.append(line.bus.calls)
    assert line.bus.cluster.state is State.CLOSED
    line.begins()
    reached.append(line.bus.calls)
    assert [each is None for each in reached] == [False, True, False]


def test_an_outage_is_one_line_and_its_end_another(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "roomcast.cluster"):
        for _ in range(3):
            line.bus.log_change(State.CONNECTING, BrokerUnreachableError("refused"))
        line.bus.log_change(State.UP, None)
        line.bus.log_change(State.CONNECTING, None)
        line.bus.log_change(State.CONNECTING, BrokerUnreachableError("again"))
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "the broker is away (refused): local clients are served, and it is tried again and again"),
        ("INFO", "the broker is there; this node is node"),
        ("ERROR", "the broker is away (again): local clients are served, and it is tried again and again"),
    ]

"""A back end that cannot say that a channel is subscribed: what a node believes once a probe of its own came back."""

from __future__ import annotations

import pytest

from roomcast.settings import Settings
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import Traits
from roomcast_brokers.messages import Kind, Probe
from tests.support.played_broker import Copy
from tests.support.world import CLUSTER, Member, World

SILENT = Traits(ordered_across_channels=True, confirms_subscriptions=False)
CHANNELS = Channels(CLUSTER)
ALL, ROOM = CHANNELS.everyone, CHANNELS.room("/", "room")


@pytest.fixture
def world() -> World:
    return World(SILENT)


def probes(world: World, channel: str) -> int:
    """How many probes the broker took on that channel."""
    return [to for _, to, _ in world.published(Kind.PROBE)].count(channel)


def deaf_to_probes(world: World, member: Member, channel: str = ROOM) -> None:
    """Probes on that channel are lost on their way to this node, from now on."""

    def loses(copy: Copy) -> bool:
        assert copy.payload is not None
        kind = world.read(copy.channel, copy.payload).operations[0].kind
        return copy.channel == channel and kind == Kind.PROBE

    member.way.loses = loses


def hears_probes(member: Member) -> None:
    member.way.loses = lambda _: False


def test_a_node_says_hello_when_it_hears_both_channels_that_every_node_has(world: World) -> None:
    a = world.node("aaaa", Settings(require_broker=True))
    assert a.cluster.unready() == a.cluster.degraded() == ("the broker is away",)
    a.way.restore()
    a.flush()
    for _ in range(2):
        a.way.answer_request()
        a.way.take()
    a.way.give()
    a.flush()
    assert a.counters.broker_up == 1
    assert a.cluster.unready() == a.cluster.degraded() == ("this node does not hear yet what is published",)
    assert world.published(Kind.HELLO) == []
    world.settle()
    assert a.cluster.unready() == a.cluster.degraded() == ()
    first = [(channel, type(body).__name__) for _, channel, body in world.published(*Kind)][:4]
    assert first == [(ALL, "Probe"), (CHANNELS.node("aaaa"), "Probe"), (ALL, "Hello"), (ALL, "Beat")]


def test_entering_a_room_waits_for_a_probe_and_not_for_the_request(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    ending = a.enter(anna.sid, "room")
    a.flush()
    assert a.way.give(), "that the request was written"
    a.flush()
    assert ending.waiting
    b.emit("too early", to="room")
    b.flush()
    b.way.take()
    world.settle()
    assert ending.values == ()
    b.emit("in time", to="room")
    world.settle()
    assert anna.heard() == [["in time"]]
    assert probes(world, ROOM) == 1


def test_probes_that_get_lost_are_sent_again(world: World) -> None:
    (a,) = world.nodes("aaaa")
    deaf_to_probes(world, a)
    ending = a.enter(a.client().sid, "room")
    world.settle()
    world.advance(0.5)
    assert ending.waiting
    hears_probes(a)
    world.advance(0.25)
    assert ending.values == ()
    assert probes(world, ROOM) == 4
    world.advance(5)
    assert probes(world, ROOM) == 4


def test_who_enters_waits_no_longer_than_a_second_and_the_confirmation_follows(world: World) -> None:
    (a,) = world.nodes("aaaa")
    deaf_to_probes(world, a)
    ending = a.enter(a.client().sid, "room")
    world.settle()
    world.advance(1.25)
    assert ending.values == ()
    assert a.counters.joins_unconfirmed == 1
    assert not a.cluster.subscriptions.is_confirmed(ROOM)
    hears_probes(a)
    world.advance(0.25)
    assert a.cluster.subscriptions.is_confirmed(ROOM)


def test_a_back_end_that_polls_slowly_is_not_pressed() -> None:
    world = World(Traits(confirms_subscriptions=False, shortest_beat=2.0))
    (a,) = world.nodes("aaaa")
    deaf_to_probes(world, a)
    a.enter(a.client().sid, "room")
    world.settle()
    world.advance(6.0)
    assert probes(world, ROOM) == 4


def test_a_probe_of_a_subscription_that_has_ended_confirms_nothing(world: World) -> None:
    """Joined, left, and joined again, while the first probe is on its way."""
    (a,) = world.nodes("aaaa")
    anna = a.client()
    a.enter(anna.sid, "room")
    a.flush()
    a.way.give()
    a.flush()
    a.way.answer_request()
    a.way.take()
    (probe,) = a.way.incoming
    a.way.incoming.clear()
    a.leave(anna.sid, "room")
    world.advance(1.25, settling=False)
    a.flush()
    again = a.enter(anna.sid, "room")
    a.flush()
    a.way.incoming.appendleft(probe)
    a.way.give()
    a.flush()
    assert again.waiting
    assert not a.cluster.subscriptions.is_confirmed(ROOM)
    world.settle()
    assert again.values == ()


def test_what_is_wanted_no_longer_is_not_probed(world: World) -> None:
    (a,) = world.nodes("aaaa")
    anna = a.client()
    deaf_to_probes(world, a)
    a.enter(anna.sid, "room")
    world.settle()
    a.leave(anna.sid, "room")
    world.advance(2)
    sent = probes(world, ROOM)
    world.advance(2)
    assert probes(world, ROOM) == sent
    assert len(a.cluster.probing) == 0


def test_after_a_break_everything_is_probed_and_then_the_others_are_asked(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    a.enter(a.client().sid, "room")
    world.settle()
    world.advance(5)
    a.way.break_off()
    assert not a.cluster.joined
    assert a.cluster.degraded() == ("the broker is away",)
    b.emit("lost", to="room")
    world.advance(1)
    world.broker.taken.clear()
    a.way.restore()
    world.settle()
    said = [type(body).__name__ for by, _, body in world.published(*Kind) if by == "aaaa"]
    assert said[:6] == ["Probe", "Probe", "Probe", "Hello", "Beat", "MarksRequest"]
    assert a.cluster.tracking.lost == 1
    assert a.counters.broker_reconnects == 1


def test_who_never_hears_a_probe_is_found_deaf_and_connects_anew(world: World) -> None:
    a = world.node("aaaa")
    a.way.loses = lambda _: True
    world.advance(4)
    assert a.way.resets == 1
    assert a.cluster.unready() == ("this node does not hear itself through the broker",)
    hears_probes(a)
    world.advance(1)
    assert a.cluster.joined
    assert a.cluster.unready() == ()


def test_where_the_broker_confirms_nobody_probes() -> None:
    world = World()
    (a,) = world.nodes("aaaa")
    a.enter(a.client().sid, "room")
    world.advance(5)
    assert world.published(Kind.PROBE) == []


def test_probes_of_both_sorts_are_told_apart_and_forgotten_with_their_channel() -> None:
    world = World(Traits(confirms_subscriptions=False, durable=True))
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    a.enter(anna.sid, "room")
    world.advance(5)
    b.emit("first", to="room")
    b.emit("lost", to="room")
    b.flush()
    deaf_to_probes(world, a)
    a.way.loses = lambda copy: copy.channel == ROOM
    world.advance(3)
    found = world.published(Kind.PROBE)
    tokens = [body.token for _, channel, body in found if channel == ROOM and isinstance(body, Probe)]
    assert tokens[0] > 0 > tokens[-1]
    assert len(a.cluster.probing) == 1
    a.leave(anna.sid, "room")
    world.advance(2)
    assert len(a.cluster.probing) == 0

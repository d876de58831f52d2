"""The seam between a cluster and its driver: coming, leaving, what is due, who is there (cluster.md 1, 6, 8).

Messages move by plain calls (:mod:`tests.support.world`). What calls of the application do is in test_cluster_calls.py,
what messages do in test_listening.py, what becomes of questions in test_relay.py, what happens when the broker goes in
test_cluster_breaks.py.
"""

from __future__ import annotations

from typing import Any

from roomcast.core.confessions import MARKS_PER_PAGE, pages
from roomcast.settings import Settings
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import Traits
from roomcast_brokers.messages import Beat, Hello, Kind, Mark
from tests.support.world import CLUSTER, Member, World

CHANNELS = Channels(CLUSTER)
ALL = CHANNELS.everyone
LEASE = 3.0
LATE = 0.5
"""A tick before and a tick after what is looked at four times a second."""


# --- coming and leaving -----------------------------------------------------------------------------------------------


def test_a_node_subscribes_what_every_node_hears_and_says_hello_before_anything_else(world: World) -> None:
    a = world.node("aaaa")
    assert list(a.way.wanted) == [ALL, CHANNELS.node("aaaa")]
    assert not a.cluster.up
    world.settle()
    kinds = [world.read(*message).operations[0].kind for message in world.broker.taken]
    assert kinds == [Kind.HELLO, Kind.BEAT]
    assert a.cluster.up


def test_a_newcomer_is_greeted_on_its_own_channel_and_knows_everybody_at_once(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    taken = len(world.broker.taken)
    c = world.node("cccc")
    world.settle()
    assert c.peers == ["aaaa", "bbbb"]
    assert a.peers == ["bbbb", "cccc"]
    assert b.peers == ["aaaa", "cccc"]
    hellos = [
        (envelope.origin.name, channel)
        for channel, payload in world.broker.taken[taken:]
        for envelope in [world.read(channel, payload)]
        if envelope.operations[0].kind == Kind.HELLO
    ]
    # n nodes greet one, and one greets n; nobody greets for ever
    assert hellos[0] == ("cccc", ALL)
    assert sorted(hellos[1:]) == [
        ("aaaa", CHANNELS.node("cccc")),
        ("bbbb", CHANNELS.node("cccc")),
        ("cccc", CHANNELS.node("aaaa")),
        ("cccc", CHANNELS.node("bbbb")),
    ]
    assert [report for report in a.reports("info") if "cccc" in report] == ["node cccc is there"]


def test_a_goodbye_ends_a_peer_at_once(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    b.leaves()
    world.settle()
    assert a.peers == []
    assert a.counters.peers_lost == 0
    assert a.reports("info")[-1] == "node bbbb has left"


def test_a_node_that_leaves_still_publishes_what_waits(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    a.emit("last words")
    a.leaves()
    world.settle()
    assert bert.heard() == [["last words"]]
    assert b.peers == []


def test_after_the_end_nothing_is_due_any_more(world: World) -> None:
    (a,) = world.nodes("aaaa")
    a.leaves()
    assert a.node.engine.deadlines.run(float("inf")) == []
    assert len(a.node.engine.deadlines) == 0


def test_a_node_starts_without_a_broker_and_says_hello_when_there_is_one(world: World) -> None:
    world.broker.down = True
    a, _ = world.nodes("aaaa", "bbbb")
    anna = a.client()
    a.emit("alone")
    world.advance(2)
    assert anna.heard() == [["alone"]]
    assert (a.cluster.unready(), a.cluster.degraded()) == ((), ("the broker is away",))
    world.broker.bring_back()
    world.settle()
    assert a.peers == ["bbbb"]
    assert a.cluster.degraded() == ()
    assert a.counters.broker_reconnects == 0


# --- beats and leases -------------------------------------------------------------------------------------------------


def test_beats_tell_uptime_clients_and_what_was_published(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    a.client()
    a.client("/chat")
    a.client("/chat")
    b.client("/chat")
    a.emit("hello", to="room")
    world.advance(1.25)
    (*_, (_, _, beat)) = [each for each in world.published(Kind.BEAT) if each[0] == "aaaa"]
    assert isinstance(beat, Beat)
    assert beat.number == 2
    assert beat.clients == {"/": 1, "/chat": 2}
    assert 1_000 <= beat.uptime_ms <= 1_500
    assert [(mark.channel, mark.before, mark.last) for mark in beat.marks] == [(CHANNELS.room("/", "room"), 0, 1)]
    assert b.cluster.membership.peers["aaaa"].clients == {"/": 1, "/chat": 2}


def test_marks_are_told_during_three_beats(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    a.emit("hello")
    world.advance(6)
    told = [len(beat.marks) for _, origin, beat in _beats(world, "aaaa")]
    assert told == [0, 1, 1, 1, 0, 0, 0]


def _beats(world: World, tag: str) -> list[tuple[str, str, Beat]]:
    return [
        (channel, origin, body)
        for origin, channel, body in world.published(Kind.BEAT)
        if origin == tag and isinstance(body, Beat)
    ]


def test_marks_come_in_pages_of_one_number() -> None:
    marks = [Mark(f"channel{number}", 1, 0, 1, 0) for number in range(2 * MARKS_PER_PAGE + 1)]
    assert [len(page) for page in pages(marks)] == [MARKS_PER_PAGE, MARKS_PER_PAGE, 1]
    assert pages([]) == []


def test_a_beat_with_many_marks_is_several_messages_of_one_number(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    a.client()
    for number in range(MARKS_PER_PAGE + 5):
        a.emit("hello", to=f"room {number}")
    world.advance(1.25)
    found = [beat for _, _, beat in _beats(world, "aaaa") if beat.number == 2]
    assert [(beat.page, len(beat.marks), beat.clients) for beat in found] == [(0, MARKS_PER_PAGE, {"/": 1}), (1, 5, {})]
    assert b.cluster.membership.peers["aaaa"].clients == {"/": 1}


def test_a_silent_peer_is_lost_within_a_lease_and_a_beat(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    b.dies()
    took = world.advance_until(lambda: a.peers == c.peers == [] or a.peers == ["cccc"], 10)
    assert LEASE - 1 <= took <= LEASE + 1 + LATE
    assert a.counters.peers_lost == 1
    assert a.reports("warning") == ["node bbbb was not heard of for a lease: it counts as lost"]


def test_an_outage_of_the_broker_expels_nobody(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    world.broker.take_down()
    world.advance(60)
    assert a.peers == ["bbbb"]
    world.broker.bring_back()
    world.advance(10)
    assert (a.peers, b.peers) == (["bbbb"], ["aaaa"])
    assert a.counters.peers_lost == b.counters.peers_lost == 0


def test_a_stall_of_our_own_expels_nobody(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    a.frozen = True
    world.advance(30)
    a.frozen = False
    world.advance(3)
    assert a.peers == ["bbbb"]
    assert a.counters.peers_lost == 0


def test_a_frozen_node_is_lost_and_simply_there_again_with_its_clients_and_rooms(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    b.enter(bert.sid, "room")
    world.settle()
    b.frozen = True
    world.advance(10)
    assert a.peers == []
    a.emit("while it slept", to="room")
    b.frozen = False
    world.advance(2)
    assert a.peers == ["bbbb"]
    assert "node bbbb is there again" in a.reports("info")
    a.emit("again", to="room")
    world.settle()
    assert bert.heard() == [["while it slept"], ["again"]]  # its socket had kept the first
    a.emit("directly", to=bert.sid)
    world.settle()
    assert bert.heard() == [["directly"]]


def test_a_restart_under_the_same_tag_is_seen_at_once(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    epoch = b.cluster.origin.epoch
    b.dies()
    again = world.node("bbbb")
    world.settle()
    assert a.peers == ["bbbb"]
    assert a.cluster.membership.owner_epoch("bbbb") == again.cluster.origin.epoch != epoch
    assert "node bbbb has started anew" in a.reports("info")
    assert a.counters.peers_lost == 0


def test_the_beat_is_as_slow_as_the_back_end_needs(world: World) -> None:
    slow = World(Traits(ordered_across_channels=True, shortest_beat=5.0))
    (a,) = slow.nodes("aaaa")
    slow.advance(11)
    assert a.cluster.beat_interval == 5
    assert [beat.number for _, _, beat in _beats(slow, "aaaa")] == [1, 2, 3]
    (b,) = world.nodes("bbbb", settings=Settings(beat_interval=2.0))
    world.advance(5)
    assert [beat.number for _, _, beat in _beats(world, "bbbb")] == [1, 2, 3]
    assert b.cluster.beat_interval == 2


# --- hearing oneself --------------------------------------------------------------------------------------------------


def test_who_does_not_hear_itself_is_unready_says_so_once_and_subscribes_anew(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    world.advance(5)
    a.way.subscribed.clear()  # the broker has forgotten it, and nobody noticed
    a.way.loses = lambda _: True
    took = world.advance_until(lambda: a.way.resets, 10)
    assert took <= LEASE + 1 + LATE
    a.way.subscribed.clear()
    assert a.cluster.unready() == ("this node does not hear itself through the broker",)
    assert a.counters.deaf == 1
    (report,) = a.reports("error")
    assert "does not hear itself" in report
    world.advance_until(lambda: a.way.resets == 2, 10)
    assert a.reports("error") == [report]
    a.way.loses = lambda _: False
    a.way.reset()
    world.advance(2)
    assert a.cluster.unready() == ()
    assert a.reports("info")[-1] == "this node hears itself through the broker again"
    assert b.cluster.unready() == ()
    assert b.counters.deaf == 0


def test_a_broker_that_is_away_makes_nobody_deaf(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    world.broker.take_down()
    world.advance(30)
    assert a.cluster.unready() == ()
    assert a.cluster.degraded() == ("the broker is away",)
    assert a.counters.deaf == 0


def test_an_option_makes_a_node_without_its_broker_unready(world: World) -> None:
    (a,) = world.nodes("aaaa", settings=Settings(require_broker=True))
    assert a.cluster.unready() == ()
    world.broker.take_down()
    assert a.cluster.unready() == ("the broker is away",)


# --- twins ------------------------------------------------------------------------------------------------------------


def twins(world: World, **options: Any) -> tuple[Member, Member]:
    """Two nodes under one tag; the first is older."""
    (older,) = world.nodes("aaaa", **options)
    world.advance(5)
    (younger,) = world.nodes("aaaa", **options)
    return older, younger


def test_the_younger_of_two_nodes_under_one_fixed_tag_serves_nobody(world: World) -> None:
    older, younger = twins(world)
    anna, arno = older.client(), younger.client()
    world.advance(5)
    assert younger.cluster.unready() == ("another node has this one's tag",)
    assert older.cluster.unready() == ()
    assert arno.gone
    assert not anna.gone
    (error,) = younger.reports("error")
    assert "ROOMCAST_TAG" in error
    assert older.reports("error") == []
    assert any("yields" in text for text in older.reports("warning"))
    world.advance(2)
    assert CHANNELS.node("aaaa") not in younger.way.wanted
    assert CHANNELS.node("aaaa") in older.way.wanted


def test_the_younger_of_two_nodes_under_one_random_tag_draws_another(world: World) -> None:
    older, younger = twins(world, random_tag=True)
    other = world.node("bbbb")
    arno = younger.client()
    world.advance(10)
    tag = younger.tag
    assert tag != "aaaa"
    assert younger.cluster.unready() == ()
    assert arno.gone
    again, bert = younger.client(), other.client()
    assert again.sid.startswith(tag)
    assert other.peers == sorted(["aaaa", tag])
    other.emit("hello", to=again.sid)
    younger.emit("hello back", to=bert.sid)
    world.settle()
    assert again.heard() == [["hello"]]
    assert bert.heard() == [["hello back"]]
    assert older.cluster.unready() == ()


def test_a_node_that_draws_another_tag_goes_on_hearing_the_rooms_it_has(world: World) -> None:
    younger, other = world.nodes("aaaa", "bbbb", random_tag=True)
    client = younger.client()  # one that comes between the end of the old name and the beginning of the new one
    younger.enter(client.sid, "room")
    younger.draw_tag()
    world.settle()
    other.emit("hello", to="room")
    world.settle()
    assert client.heard() == [["hello"]]
    younger.leave(client.sid, "room")
    world.advance(2)
    assert CHANNELS.room("/", "room") not in younger.way.wanted


# --- numbers for operators --------------------------------------------------------------------------------------------


def test_gauges_ask_whoever_keeps_the_number(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    a.emit("hello")
    ending = a.ask("question", None, bert.sid)
    world.settle()
    counters = a.counters
    assert counters.measure_out()["emit"] == 2
    assert counters.measure_out()["hello"] == 2
    assert b.counters.received["emit"] == 2
    assert counters.measure_peers() == 1
    assert counters.measure_pending() == 1
    assert counters.measure_subscriptions() == 2
    assert counters.measure_lag() == 0
    assert counters.measure_buffer_bytes() == 0
    world.broker.take_down()
    a.emit("hello", "x" * 1_000)
    assert counters.measure_buffer_bytes() > 1_000
    world.advance(6)
    assert counters.measure_unpublished() == 1
    assert counters.measure_lost() == counters.measure_duplicates() == counters.measure_recanted() == 0
    assert counters.measure_abandoned() == counters.measure_evictions() == 0
    assert ending.waiting


def test_hellos_tell_the_version(world: World) -> None:
    world.nodes("aaaa")
    ((_, _, hello),) = world.published(Kind.HELLO)
    assert hello == Hello(0, "1.0")


def test_without_clients_every_table_is_empty(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = a.client(), b.client("/chat")
    a.enter(anna.sid, "room")
    b.enter(bert.sid, "room", "/chat")
    world.settle()
    assert a.cluster.census()["rooms_on"] == 1
    a.ask("question", None, bert.sid, namespace="/chat")
    world.settle()
    assert b.cluster.census() == {"asks": 0, "asked_by": 1, "pledges": 0, "rooms_on": 1}
    anna.vanishes()
    bert.vanishes()
    world.advance(3)
    assert a.left() == b.left() == {}
    assert set(a.way.wanted) == {ALL, CHANNELS.node("aaaa")}

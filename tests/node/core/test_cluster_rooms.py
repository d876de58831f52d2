"""What applications ask of rooms and clients that may be on any node (cluster.md 4, 6)."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.cluster_calls import OWNER_TIMEOUT
from roomcast.exceptions import DisconnectedError, NodeLostError
from roomcast.exceptions import TimeoutError as CallTimeoutError
from roomcast.settings import Settings
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, Traits
from roomcast_brokers.errors import MessageTooLargeError
from roomcast_brokers.messages import CloseRoom, Disconnect, Join, Kind, Leave
from tests.support.world import CLUSTER, OF_NOBODY, World, fake_sid, one_each

CHANNELS = Channels(CLUSTER)
ROOM = CHANNELS.room("/", "room")


# --- entering rooms ---------------------------------------------------------------------------------------------------


def test_entering_waits_for_the_confirmation(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna, ada = one_each(a, a)
    ending = a.enter(anna.sid, "room")
    assert a.rooms(anna) == ["room"]  # that it is in is never a question of the broker
    again = a.enter(ada.sid, "room")
    a.flush()
    a.way.answer_request()
    assert ending.waiting
    a.way.give()
    a.flush()
    assert ending.values == again.values == ()
    third = a.enter(a.client().sid, "room")
    assert third.values == ()
    assert a.counters.joins_unconfirmed == 0


def test_entering_waits_a_second_at_most(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna = a.client()
    ending = a.enter(anna.sid, "room")
    took = 0.0
    while ending.waiting:
        assert took < 2
        world.advance(0.25, settling=False)
        took += 0.25
    assert took == a.settings.join_timeout == 1.0
    assert ending.values == ()
    assert a.counters.joins_unconfirmed == 1
    world.settle()
    assert a.cluster.subscriptions.is_confirmed(ROOM)


def test_entering_does_not_wait_while_the_broker_is_away(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    world.broker.take_down()
    assert a.enter(anna.sid, "room").values == ()
    assert a.counters.joins_unconfirmed == 1
    world.broker.bring_back()
    world.advance(1)
    b.emit("hello", to="room")
    world.settle()
    assert anna.heard() == [["hello"]]


def test_who_waits_goes_on_when_the_broker_goes_away(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    endings = [a.enter(a.client().sid, f"room {number}") for number in range(3)]
    a.way.break_off()
    a.flush()
    assert [ending.values for ending in endings] == [(), (), ()]
    assert a.counters.joins_unconfirmed == 3


def test_who_waits_goes_on_when_everybody_has_left(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb", settings=Settings(join_timeout=10))
    anna = a.client()
    ending = a.enter(anna.sid, "room")
    a.leave(anna.sid, "room")
    world.advance(1.5, settling=False)
    assert ending.values == ()


def test_joining_leaving_and_joining_inside_one_round_trip_ends_in_the_room(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    first = a.enter(anna.sid, "room")
    a.leave(anna.sid, "room")
    second = a.enter(anna.sid, "room")
    a.flush()
    a.leave(anna.sid, "room")
    third = a.enter(anna.sid, "room")
    world.settle()
    assert (first.values, second.values, third.values) == ((), (), ())
    b.emit("hello", to="room")
    world.settle()
    assert anna.heard() == [["hello"]]
    a.leave(anna.sid, "room")
    world.advance(0.5)
    fourth = a.enter(anna.sid, "room")  # its channel still lingered
    assert fourth.values == ()
    world.advance(5)
    b.emit("hello", to="room")
    world.settle()
    assert anna.heard() == [["hello"]]


def test_a_channel_is_left_a_second_after_its_last_member(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, ada = one_each(a, a)
    for client in (anna, ada):
        a.enter(client.sid, "room")
    world.settle()
    a.leave(anna.sid, "room")
    world.advance(3)
    assert ROOM in a.way.wanted
    ada.vanishes()
    world.advance(0.5)
    assert ROOM in a.way.wanted
    world.advance(1)
    assert ROOM not in a.way.wanted
    b.emit("hello", to="room")
    world.settle()
    assert world.given(a) == []


def test_a_room_that_was_left_and_entered_much_later_loses_nothing_of_the_old_time(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    a.enter(anna.sid, "room")
    world.settle()
    b.emit("one", to="room")
    a.leave(anna.sid, "room")
    world.advance(3)
    for number in range(10):
        b.emit("unheard", number, to="room")
        world.advance(0.5)
    a.enter(anna.sid, "room")
    world.settle()
    b.emit("two", to="room")
    world.advance(5)
    assert [name for name, *_ in anna.heard()] == ["two"]
    assert a.cluster.tracking.lost == 0


def test_an_emit_after_entering_has_returned_is_never_missed(world: World) -> None:
    """Step by step: whatever has moved when it returns, what is emitted elsewhere then arrives."""
    a, b = world.nodes("aaaa", "bbbb")
    for number in range(50):
        client, room = a.client(), f"room {number % 7}"
        ending = a.enter(client.sid, room)
        while ending.waiting:
            moved = a.flush() or a.way.answer_request() or a.way.give() or a.flush()
            assert moved, "entering waits for nothing"
        b.emit("hello", number, to=room)
        world.settle()
        assert client.heard() == [["hello", number]]
        if number % 3 == 0:
            a.leave(client.sid, room)
        elif number % 3 == 1:
            client.vanishes()
        if number % 5 == 0:
            world.advance(1.25)


def test_shards_are_subscribed_for_as_long_as_one_of_their_rooms_needs_them() -> None:
    world = World(Traits(ordered_across_channels=True, cheap_subscriptions=False))
    a, b = world.nodes("aaaa", "bbbb")
    channels = Channels(CLUSTER, shards=True)
    same = [room for room in map(str, range(2_000)) if channels.room("/", room) == channels.room("/", "0")][:3]
    anna, ada = one_each(a, a)
    a.enter(anna.sid, same[0])
    a.enter(ada.sid, same[1])
    world.settle()
    for room in same:
        b.emit("hello", room, to=room)
    world.settle()
    assert anna.heard() == [["hello", same[0]]]
    assert ada.heard() == [["hello", same[1]]]  # what is for the third room comes here too, and is for nobody
    a.leave(anna.sid, same[0])
    world.advance(3)
    b.emit("still there", to=same[1])
    world.settle()
    assert ada.heard() == [["still there"]]
    a.leave(ada.sid, same[1])
    world.advance(3)
    assert channels.room("/", "0") not in a.way.wanted
    assert a.cluster.census()["rooms_on"] == 0


# --- sids are no rooms ------------------------------------------------------------------------------------------------


def test_the_sid_of_a_client_here_is_no_room(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna, ada = one_each(a, a)
    with pytest.raises(ValueError, match="sid room"):
        a.enter(anna.sid, ada.sid)
    assert a.enter(anna.sid, anna.sid).values == ()  # its own: it is in
    assert a.rooms(anna) == []
    with pytest.raises(ValueError, match="sid room"):
        a.close_room(ada.sid)


def test_the_sid_of_a_client_elsewhere_is_no_room(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna, bert = one_each(a, b)
    ending = a.enter(anna.sid, bert.sid)
    assert ending.waiting
    world.settle()
    assert isinstance(ending.error, ValueError)
    assert a.rooms(anna) == []
    assert a.left().get("asks") is None


def test_a_room_with_the_form_of_a_sid_elsewhere_can_be_entered_after_asking(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    room = fake_sid("bbbb")
    ending = a.enter(anna.sid, room)
    assert a.rooms(anna) == []
    world.settle()
    assert ending.values == ()
    assert a.rooms(anna) == [room]
    b.emit("hello", to=room)
    world.settle()
    assert anna.heard() == [["hello"]]
    a.leave(anna.sid, room)
    assert a.rooms(anna) == []


def test_without_an_answer_within_a_second_nobody_enters(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    b.frozen = True
    ending = a.enter(anna.sid, fake_sid("bbbb"))
    world.advance(OWNER_TIMEOUT + 0.25)
    assert isinstance(ending.error, ValueError)
    assert isinstance(ending.error.__cause__, CallTimeoutError)
    b.frozen = False
    world.advance(1)
    assert a.rooms(anna) == []
    assert a.ends["late"] == 1


def test_a_node_that_was_known_once_is_asked_too(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    anna = a.client()
    sid = b.client().sid
    b.dies()
    world.advance(5)
    ending = a.enter(anna.sid, sid)
    world.advance(2)
    assert isinstance(ending.error, ValueError)
    assert a.rooms(anna) == []


def test_the_form_of_a_sid_of_an_unknown_node_is_a_room_at_once(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna = a.client()
    a.enter(anna.sid, OF_NOBODY)
    assert a.rooms(anna) == [OF_NOBODY]


def test_who_has_gone_while_the_owner_was_asked_enters_nothing(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna = a.client()
    ending = a.enter(anna.sid, fake_sid("bbbb"))
    anna.vanishes()
    world.settle()
    assert ending.values == ()  # as entering a room with a client that leaves: nothing happens
    world.advance(3)
    assert a.left() == {}


# --- clients of other nodes -------------------------------------------------------------------------------------------


def test_a_client_elsewhere_is_put_into_a_room_and_taken_out(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    bert = b.client()
    ending = a.enter(bert.sid, "room")
    assert ending.waiting
    world.settle()
    assert ending.values == ()
    assert b.rooms(bert) == ["room"]
    assert [(channel, body) for _, channel, body in world.published(Kind.JOIN)] == [
        (CHANNELS.node("bbbb"), Join("/", bert.sid, "room", world.published(Kind.JOIN)[0][2].ask))  # type: ignore[union-attr]
    ]
    c.emit("hello", to="room")
    world.settle()
    assert bert.heard() == [["hello"]]
    c.leave(bert.sid, "room")
    world.settle()
    assert b.rooms(bert) == []
    assert world.published(Kind.LEAVE)[0][1:] == (CHANNELS.node("bbbb"), Leave("/", bert.sid, "room"))
    assert a.ends == {"answered": 1}


def test_entering_for_a_client_elsewhere_returns_when_its_node_has_subscribed(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    ending = a.enter(bert.sid, "room")
    a.flush()
    a.way.settle()
    b.way.give()
    b.flush()
    assert b.rooms(bert) == ["room"]
    world.settle()
    assert ending.values == ()


def test_a_client_elsewhere_that_has_gone_is_a_key_error(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    for sid in (fake_sid("bbbb"),):
        ending = a.enter(sid, "room")
        world.settle()
        assert isinstance(ending.error, KeyError)
        assert ending.error.args == (sid,)
        assert isinstance(ending.error.__cause__, DisconnectedError)
    assert a.ends == {"client_gone": 1}


def test_what_the_owner_refuses_is_a_value_error(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc", settings=Settings(max_rooms=1))
    bert, bea, cleo = one_each(b, b, c)
    a.enter(bert.sid, "room")
    world.settle()
    for room, reason in (("another", "max_rooms"), (bea.sid, "sid room"), (cleo.sid, "sid room")):
        ending = a.enter(bert.sid, room)
        world.settle()
        assert isinstance(ending.error, ValueError)
        assert reason in str(ending.error)
    assert b.rooms(bert) == ["room"]
    assert a.ends == {"answered": 1, "refused": 3}


def test_a_node_that_does_not_answer_is_a_time_out(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    a.way.break_off()
    ending = a.enter(bert.sid, "room")
    world.advance(4.75)
    assert ending.waiting
    world.advance(0.5)
    assert isinstance(ending.error, TimeoutError)
    assert a.ends == {"timed_out": 1}


def test_a_node_that_is_lost_meanwhile_ends_it(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb", settings=Settings(remote_timeout=60))
    bert = b.client()
    b.dies()
    ending = a.enter(bert.sid, "room")
    world.advance_until(lambda: not ending.waiting, 6)
    assert isinstance(ending.error, NodeLostError)


def test_a_request_that_cannot_travel_raises_and_nobody_waits_for_it(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    with pytest.raises(MessageTooLargeError):
        a.enter(bert.sid, "room", "/" + "x" * MAX_MESSAGE_BYTES)
    assert a.left() == {}


def test_strangers_are_what_users_know(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    a.client()
    with pytest.raises(KeyError):
        a.enter("somebody", "room")
    with pytest.raises(KeyError):
        a.enter(fake_sid("aaaa"), "room")
    with pytest.raises(ValueError, match="namespace"):
        a.enter("somebody", "room", "/nowhere")
    a.leave("somebody", "room")
    a.leave(fake_sid("bbbb"), "room")
    a.close_room("nobody is there")
    a.disconnect("somebody")
    a.disconnect(fake_sid("bbbb"))
    world.settle()


def test_closing_a_room_empties_it_everywhere(world: World) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    clients = one_each(a, b, c)
    for member, client in zip((a, b, c), clients, strict=True):
        member.enter(client.sid, "room")
        member.enter(client.sid, "other")
    world.settle()
    a.close_room("room")
    world.settle()
    assert [member.rooms(client) for member, client in zip((a, b, c), clients, strict=True)] == [["other"]] * 3
    assert world.published(Kind.CLOSE_ROOM) == [("aaaa", ROOM, CloseRoom("/", "room"))]


def test_a_sid_elsewhere_is_not_closed(world: World) -> None:
    a, b = world.nodes("aaaa", "bbbb")
    bert = b.client()
    a.close_room(bert.sid)
    world.settle()
    a.emit("hello", to=bert.sid)
    world.settle()
    assert bert.heard() == [["hello"]]


@pytest.mark.parametrize("close", [False, True])
def test_a_client_elsewhere_is_disconnected(world: World, close: bool) -> None:
    a, b, c = world.nodes("aaaa", "bbbb", "cccc")
    left: list[Any] = []
    b.on("disconnect", lambda sid, reason: left.append((sid, reason)))
    bert = b.client()
    assert a.cluster.calls.disconnect(bert.sid, "/", close)
    world.settle()
    assert left == [(bert.sid, "server disconnect")]
    assert bert.gone == close
    assert world.published(Kind.DISCONNECT) == [("aaaa", CHANNELS.node("bbbb"), Disconnect("/", bert.sid, close))]
    assert world.given(c) == []


def test_a_client_here_is_disconnected_here(world: World) -> None:
    a, _ = world.nodes("aaaa", "bbbb")
    anna = a.client()
    assert not a.cluster.calls.disconnect(anna.sid, "/", False)
    a.disconnect(anna.sid)
    world.settle()
    assert world.published(Kind.DISCONNECT) == []
    assert a.node.hub.find(anna.sid, "/") is None

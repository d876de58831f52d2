"""A conversation with RabbitMQ, whose side is played: what is asked for, what answers mean, and what ends it."""

from __future__ import annotations

import pytest
from pamqp.commands import Basic, Channel, Connection, Exchange, Queue
from pamqp.heartbeat import Heartbeat

from roomcast_brokers.backends.aiopika.frames import Method
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.aiopika.played_server import Conversation

GREETING = ["Connection.StartOk", "Connection.TuneOk", "Connection.Open"]
PUBLISHED = ["Basic.Publish", "ContentHeader", "ContentBody"]
FENCE = "Channel.Flow"


def up(options: str = "", **wanted: int) -> Conversation:
    """A conversation in which everything is declared, and what was told of that is forgotten."""
    conversation = Conversation(options, **wanted)
    conversation.run()
    assert conversation.taken()[-1] == ("ready",)
    conversation.heard.clear()
    return conversation


# --- what is declared -------------------------------------------------------------------------------------------------


def test_who_only_writes_has_no_queue() -> None:
    conversation = Conversation()
    assert conversation.run() == [*GREETING, "Channel.Open", "Exchange.Declare", FENCE]
    assert conversation.session.greeted
    assert conversation.session.heartbeat == 20
    assert conversation.events == [("ready",)]


def test_everything_is_asked_for_at_once_and_confirmed_before_ready() -> None:
    conversation = Conversation(a=7, b=8)
    names = ["Channel.Open", "Exchange.Declare", "Queue.Declare", "Queue.Bind", "Queue.Bind", "Basic.Consume", FENCE]
    assert conversation.run() == [*GREETING, *names]
    assert conversation.events == [("confirmed", "a", 7), ("confirmed", "b", 8), ("ready",)]


def test_the_first_that_is_wanted_brings_the_queue() -> None:
    conversation = up()
    conversation.subscriptions.want("a", 1)
    assert conversation.run() == ["Queue.Declare", "Queue.Bind", "Basic.Consume"]
    conversation.subscriptions.want("b", 2)
    conversation.subscriptions.drop("a")
    assert conversation.run() == ["Queue.Unbind", "Queue.Bind"]
    assert conversation.events == [("confirmed", "a", 1), ("confirmed", "b", 2)]


def test_durable_the_queue_is_cleared_the_first_time_and_kept_from_then_on() -> None:
    conversation = Conversation("durable=1", a=1)
    conversation.run()
    names = [method.name for method in conversation.heard]
    assert names[len(GREETING) :] == [
        *("Channel.Open", "Confirm.Select", "Exchange.Declare", "Queue.Delete", "Queue.Declare", "Queue.Bind"),
        *("Basic.Qos", "Basic.Consume", FENCE),
    ]
    conversation.subscriptions.drop("a")
    conversation.begin()
    assert conversation.run()[len(GREETING) :] == [
        *("Channel.Open", "Confirm.Select", "Exchange.Declare", "Queue.Declare", "Queue.Unbind"),
        *("Basic.Qos", "Basic.Consume", FENCE),
    ]


def test_a_durable_queue_is_not_ours_before_we_consume() -> None:
    conversation = Conversation("durable=1", a=1)
    conversation.holding.add(Basic.Consume)
    conversation.run()
    assert not conversation.topology.claimed
    conversation.begin()
    assert "Queue.Delete" in conversation.run()


@pytest.mark.parametrize("late", [Basic.Consume, Channel.Flow, Queue.Bind])
def test_ready_waits_for_the_last_of_all(late: type[Method]) -> None:
    """The consumer is answered when the queue comes to it, which may be after all else, or before."""
    conversation = Conversation(a=1)
    conversation.holding = {Queue.Bind, Channel.Flow} if late is not Basic.Consume else {late}
    conversation.run()
    assert ("ready",) not in conversation.events
    conversation.let_go()
    assert conversation.events[-1] == ("ready",)


def test_what_is_wanted_meanwhile_is_confirmed_before_ready_too() -> None:
    conversation = Conversation(a=1)
    conversation.holding = {Queue.Bind, Channel.Flow}
    conversation.run()
    conversation.subscriptions.want("b", 2)
    conversation.run()
    conversation.let_go(2)
    assert conversation.taken() == [("confirmed", "a", 1)]
    conversation.let_go()
    assert conversation.taken() == [("confirmed", "b", 2), ("ready",)]


def test_what_is_wanted_no_more_is_not_waited_for() -> None:
    conversation = Conversation(a=1)
    conversation.run()
    conversation.taken()
    conversation.begin()
    conversation.holding = {Channel.Flow}
    conversation.run()
    conversation.holding = {Queue.Bind}
    conversation.subscriptions.want("b", 2)
    conversation.run()
    conversation.let_go(1)
    assert conversation.taken() == [("confirmed", "a", 1)]
    conversation.subscriptions.drop("b")
    conversation.session.take()
    assert conversation.taken() == [("ready",)]
    conversation.let_go()
    assert conversation.taken() == [], "an answer to an earlier wish"


# --- messages ---------------------------------------------------------------------------------------------------------


def test_what_is_written_together_is_followed_by_one_request() -> None:
    conversation = up()
    conversation.holding = {Channel.Flow}
    for payload in (b"1", b"2"):
        conversation.session.publish("a", payload)
    assert conversation.run() == [*PUBLISHED, *PUBLISHED, FENCE]
    conversation.session.publish("a", b"3")
    assert conversation.run() == PUBLISHED, "one request at a time"
    conversation.let_go()
    assert conversation.taken() == [("accepted", 2)]
    assert conversation.run() == [FENCE]
    conversation.let_go()
    assert conversation.taken() == [("accepted", 1)]
    assert conversation.run() == []


def test_durable_what_is_confirmed_is_accepted() -> None:
    conversation = up("durable=1")
    for number in range(5):
        conversation.session.publish("a", b"%d" % number)
    assert conversation.run() == PUBLISHED * 5
    header = conversation.heard[1]
    assert header.properties.delivery_mode == 2  # type: ignore[union-attr]
    conversation.say(Basic.Ack(2, False))
    assert conversation.taken() == []
    conversation.say(Basic.Ack(1, False), Basic.Ack(5, True))
    assert conversation.taken() == [("accepted", 2), ("accepted", 3)]
    conversation.session.ask()
    conversation.run()
    assert conversation.taken() == []


def test_what_arrives_is_told_and_in_the_durable_mode_acknowledged_once_a_read() -> None:
    conversation = up(a=1)
    conversation.deliver("a", b"x")
    assert conversation.taken() == [("delivered", "a", b"x")]
    assert conversation.run() == []
    conversation = up("durable=1", a=1)
    conversation.say(*conversation.delivery("a", b"1", 1), *conversation.delivery("nobody's", b"2", 2))
    assert conversation.taken() == [("delivered", "a", b"1")]
    assert conversation.run() == ["Basic.Ack"]
    acknowledged = conversation.heard[-1]
    assert isinstance(acknowledged, Basic.Ack)
    assert (acknowledged.delivery_tag, acknowledged.multiple) == (2, True)
    conversation.say(Heartbeat(), channel=0)
    assert conversation.run() == []


# --- a server that takes no messages ----------------------------------------------------------------------------------


def test_while_blocked_nothing_is_accepted_and_afterwards_all_is_confirmed_anew() -> None:
    conversation = up(a=1, b=2)
    conversation.holding = {Channel.Flow}
    conversation.session.publish("a", b"perhaps")
    conversation.run()
    conversation.say(Connection.Blocked("low on memory"), channel=0)
    assert conversation.session.blocked
    assert conversation.taken() == [("halted", "RabbitMQ takes no messages at present: low on memory")]
    conversation.deliver("a", b"what was in the queue")
    assert conversation.taken() == [("delivered", "a", b"what was in the queue")]
    conversation.subscriptions.drop("b")
    conversation.subscriptions.want("c", 3)
    assert conversation.run() == [], "it would not be read"
    conversation.say(Connection.Unblocked(), channel=0)
    conversation.let_go()
    assert conversation.taken() == [], "the old request tells nothing"
    conversation.deliver("a", b"still told", 2)
    conversation.holding = set()
    assert conversation.run() == ["Queue.Unbind", "Queue.Bind", "Queue.Bind", FENCE]
    assert conversation.taken() == [
        ("delivered", "a", b"still told"),
        ("confirmed", "c", 3),
        ("confirmed", "a", 1),
        ("ready",),
    ]
    conversation.session.publish("a", b"again")
    conversation.run()
    assert conversation.taken() == [("accepted", 1)]


def test_durable_what_is_confirmed_after_it_was_blocked_counts_for_nothing() -> None:
    conversation = up("durable=1")
    conversation.session.publish("a", b"1")
    conversation.run()
    conversation.say(Connection.Blocked("disk"), channel=0)
    conversation.say(Connection.Unblocked(), channel=0)
    conversation.run()
    conversation.session.publish("a", b"1")
    conversation.run()
    conversation.say(Basic.Ack(1, False))
    assert [event for event in conversation.taken() if event[0] == "accepted"] == []
    conversation.say(Basic.Ack(2, False))
    assert conversation.taken() == [("accepted", 1)]


# --- life and death ---------------------------------------------------------------------------------------------------


def test_whether_the_server_lives_is_asked_once_at_a_time() -> None:
    conversation = Conversation()
    conversation.session.ask()
    conversation.session.beat()
    assert len(conversation.session.take()) == 8, "the protocol's header alone"
    conversation = up()
    conversation.holding = {Channel.Flow}
    conversation.session.ask()
    conversation.session.ask()
    assert conversation.run() == [FENCE]
    conversation.let_go()
    conversation.session.beat()
    assert conversation.run() == ["Heartbeat"]


@pytest.mark.parametrize(
    ("method", "channel", "why"),
    [
        (Connection.Close(320, "CONNECTION_FORCED", 0, 0), 0, "closed the connection: CONNECTION_FORCED"),
        (Channel.Close(404, "NOT_FOUND - no exchange", 60, 40), 1, "NOT_FOUND - no exchange"),
        (Channel.Close(403, "in exclusive use", 60, 20), 1, "another process has the same node id"),
        (Basic.Cancel("roomcast"), 1, "ended our consumer"),
        (Basic.Nack(1), 1, "could not keep a message"),
        (Exchange.DeclareOk(), 1, "said Exchange.DeclareOk, which nobody had asked for"),
        (Connection.OpenOk(), 0, "said Connection.OpenOk, which nobody had asked for"),
    ],
)
def test_what_ends_it(method: Method, channel: int, why: str) -> None:
    conversation = up("durable=1", a=1)
    with pytest.raises(BrokerUnreachableError, match=why):
        conversation.say(method, channel=channel)


def test_answers_out_of_step_end_it() -> None:
    conversation = Conversation(a=1)
    conversation.holding = {Queue.Bind, Channel.Flow}
    conversation.run()
    with pytest.raises(BrokerUnreachableError, match=r"said Queue\.UnbindOk"):
        conversation.say(Queue.UnbindOk())


def test_after_the_drop_nobody_is_told_anything() -> None:
    conversation = up(a=1)
    conversation.session.publish("a", b"x")
    conversation.session.take()
    conversation.session.drop()
    conversation.deliver("a", b"x")
    conversation.say(Channel.FlowOk(True), Basic.Cancel("roomcast"))
    conversation.subscriptions.want("b", 1)
    assert conversation.taken() == []
    assert conversation.session.take() == b"", "a binding is for the next connection"
    former = conversation.session
    conversation.begin()
    conversation.run()
    names = dict(conversation.subscriptions.names)
    assert set(names.values()) == {"a", "b"}
    former.drop()
    assert conversation.subscriptions.names == names, "those of another session by now"


@pytest.mark.parametrize(("options", "deletes"), [("", []), ("durable=1", ["Queue.Delete"])])
def test_the_end_leaves_no_queue(options: str, deletes: list[str]) -> None:
    conversation = up(options, a=1)
    conversation.session.end()
    assert conversation.run() == [*deletes, "Connection.Close"]
    with pytest.raises(BrokerUnreachableError, match="as we asked"):
        conversation.say(Connection.CloseOk(), channel=0)


def test_the_end_before_the_beginning() -> None:
    conversation = Conversation("durable=1", a=1)
    conversation.session.end()
    assert len(conversation.session.take()) == 8, "the protocol's header alone"

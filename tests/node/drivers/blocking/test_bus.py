"""The one connection of a blocking node to its broker: who is told what, and how it begins and ends.

The broker does what the test says (:mod:`tests.support.scripted_brokers`). Decisions are tested in tests/node/core.
"""

from __future__ import annotations

import logging
from typing import Any

import pytest

from roomcast.core.bus import FLUSH_PATIENCE, HELLO_PATIENCE
from roomcast.core.cluster import ClusterOptions
from roomcast.core.subscriptions import LINGER
from roomcast.core.work import DrawTag, ResetBroker
from roomcast.drivers.blocking.bus import Bus
from roomcast.exceptions import DisconnectedError
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, encode_body, encode_operation, new_origin
from roomcast_brokers.contracts import State
from roomcast_brokers.errors import BrokerUnreachableError
from roomcast_brokers.messages import Emit, Hello, Kind
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTask, PlayedTasks
from tests.support.scripted_brokers import ScriptedBroker

CLUSTER = "shop"
CHANNELS = Channels(CLUSTER)
ALL = CHANNELS.everyone


class Joined(PlayedServer):
    """A server with a bus over scripted brokers; ``brokers`` are those that it has made, the present one last."""

    def __init__(self, tasks: PlayedTasks, **options: Any) -> None:
        super().__init__(tasks, namespaces="*", tag="aaaa", **options)
        self.brokers: list[ScriptedBroker] = []
        self.reader = EnvelopeCodec(new_origin("read"), CLUSTER)
        cluster = ClusterOptions(name=CLUSTER, keys=None, traits=ScriptedBroker().traits, random_tag=True)
        self.bus = Bus(self.sio.node, cluster, self._make, self.runtime)
        self.sio.bus = self.runtime.bus = self.bus
        self.bus.cluster.confessions.on_gap = self.sio.cluster.gap_hooks

    def _make(self) -> ScriptedBroker:
        self.brokers.append(ScriptedBroker())
        return self.brokers[-1]

    @property
    def broker(self) -> ScriptedBroker:
        return self.brokers[-1]

    def begins(self) -> PlayedTask:
        """The task in which it starts; its broker is open."""
        task = self.tasks.start(self.sio.start)
        self.tasks.others()
        return task

    def starts(self) -> None:
        """Start it, and let the broker be reached at once."""
        task = self.begins()
        self.comes_up()
        task.join()

    def comes_up(self) -> None:
        """All that is wanted is confirmed, and the broker is there."""
        for channel, generation in self.wanted().items():
            self.broker.listener.confirmed(channel, generation)
        self.broker.listener.changed(State.UP, None)
        self.tasks.others()

    def wanted(self) -> dict[str, int]:
        wanted: dict[str, int] = {}
        for name, *arguments in self.broker.calls:
            if name == "subscribe":
                wanted[arguments[0]] = arguments[1]
            elif name == "unsubscribe":
                wanted.pop(arguments[0], None)
        return wanted

    def published(self, broker: ScriptedBroker | None = None) -> list[tuple[str, list[str]]]:
        """(channel, kinds) of the messages that were handed over, oldest first."""
        found = []
        for channel, payload in (broker or self.broker).published:
            kinds = [Kind(each.kind).name.lower() for each in self.reader.decode(channel, payload).operations]
            found.append((channel, kinds))
        return found


@pytest.fixture
def joined(tasks: PlayedTasks) -> Joined:
    return Joined(tasks)


def test_making_one_connects_to_nothing(joined: Joined) -> None:
    assert joined.brokers == []


def test_it_wants_its_channels_before_the_broker_is_there_and_says_hello_when_it_is(joined: Joined) -> None:
    starting = joined.begins()
    assert not starting.has_ended()
    assert joined.broker.calls[0] == ("open",)
    assert list(joined.wanted()) == [ALL, CHANNELS.node("aaaa")]
    assert joined.published() == []
    joined.comes_up()
    assert starting.has_ended()
    assert joined.tasks.now == 1_000
    assert joined.published() == [(ALL, ["hello"]), (ALL, ["beat"])]
    joined.ends()
    assert joined.broker.calls[-1][0] == "close"
    assert joined.published()[-1] == (ALL, ["goodbye"])


def test_a_broker_that_is_known_to_be_away_keeps_nobody_waiting(
    joined: Joined, caplog: pytest.LogCaptureFixture
) -> None:
    starting = joined.begins()
    for _ in range(3):
        joined.broker.listener.changed(State.CONNECTING, BrokerUnreachableError("refused"))
    joined.tasks.others()
    assert starting.has_ended()
    (error,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "refused" in error.getMessage()
    assert joined.sio.readiness().degraded == ("the broker is away",)
    assert joined.sio.readiness().reasons == ()


def test_a_broker_that_does_not_answer_is_waited_for_a_moment(joined: Joined, caplog: pytest.LogCaptureFixture) -> None:
    began = joined.tasks.now
    joined.sio.start()
    assert joined.tasks.now - began == pytest.approx(HELLO_PATIENCE)
    assert "has not answered yet" in caplog.text
    joined.comes_up()
    assert joined.published()[0] == (ALL, ["hello"])


def test_what_one_turn_makes_is_handed_over_once_and_in_order(joined: Joined) -> None:
    joined.starts()
    before = len(joined.published())
    with joined.runtime.turn:
        for room in (None, None, "x", None):
            joined.sio.emit("hello", to=room)
        assert len(joined.published()) == before
    channel = CHANNELS.room("/", "x")
    assert joined.published()[before:] == [(ALL, ["emit", "emit"]), (channel, ["emit"]), (ALL, ["emit"])]


def test_what_is_emitted_before_the_start_is_published_after_it(joined: Joined) -> None:
    joined.sio.emit("early")
    joined.starts()
    assert joined.published()[0] == (ALL, ["emit"])


def test_what_comes_from_others_reaches_clients(joined: Joined) -> None:
    joined.starts()
    client = joined.joined()
    other = EnvelopeCodec(new_origin("bbbb"), CLUSTER)
    emit = encode_body(Emit(2, "/", "json", b'["hello"]'))
    payload = other.encode(ALL, 1, 1, 0, [encode_operation(Kind.EMIT, 1, emit)])
    joined.broker.listener.delivered(ALL, payload)
    assert client.received() == ['42["hello"]']
    joined.broker.listener.delivered(*joined.broker.published[0])  # its own


def test_what_was_on_its_way_when_a_channel_was_unsubscribed_is_none_of_the_next_subscriptions(joined: Joined) -> None:
    """The broker's thread had it in its hands, and waited for the turn in which that happened. If it were counted, all
    that came between the two subscriptions would be confessed as lost.
    """
    joined.starts()
    sid, channel = joined.joined().sid, CHANNELS.room("/", "room")
    other = EnvelopeCodec(new_origin("bbbb"), CLUSTER)
    emit = encode_body(Emit(2, "/", "json", b'["hello"]', rooms=("room",)))

    def delivered(seq: int) -> None:
        payload = other.encode(channel, 1, seq, 0, [encode_operation(Kind.EMIT, seq, emit)])
        joined.broker.listener.delivered(channel, payload)

    entering = joined.tasks.start(joined.sio.enter_room, sid, "room")
    joined.tasks.others()
    joined.broker.listener.confirmed(channel, joined.wanted()[channel])
    entering.join()
    delivered(1)
    joined.sio.leave_room(sid, "room")
    joined.tasks.advance(2 * LINGER)
    assert channel not in joined.wanted()
    delivered(2)
    entering = joined.tasks.start(joined.sio.enter_room, sid, "room")
    joined.tasks.others()
    delivered(3)
    joined.broker.listener.confirmed(channel, joined.wanted()[channel])
    entering.join()
    delivered(9)
    assert joined.bus.cluster.tracking.lost == 0
    delivered(11)
    assert joined.bus.cluster.tracking.lost == 1


def test_application_code_never_runs_in_the_task_of_the_broker(joined: Joined) -> None:
    joined.starts()
    called: list[Any] = []
    joined.sio.cluster.on_gap(called.append)
    other = EnvelopeCodec(new_origin("bbbb"), CLUSTER)
    emit = encode_body(Emit(2, "/", "json", b'["hello"]'))
    for seq in (1, 9):
        payload = other.encode(ALL, 1, seq, 0, [encode_operation(Kind.EMIT, seq, emit)])
        joined.broker.listener.delivered(ALL, payload)
    joined.broker.listener.delivered(ALL, other.control(ALL, Kind.HELLO, encode_body(Hello(1)), 0))
    assert called == []
    joined.tasks.advance(5.0)
    assert [gap.count for gap in called] == [7]


def test_entering_a_room_waits_for_the_broker_and_no_longer_than_it_may(joined: Joined) -> None:
    joined.starts()
    sid = joined.joined().sid
    entering = joined.tasks.start(joined.sio.enter_room, sid, "room")
    joined.tasks.others()
    assert not entering.has_ended()
    channel = CHANNELS.room("/", "room")
    joined.broker.listener.confirmed(channel, joined.wanted()[channel])
    joined.tasks.others()
    assert entering.has_ended()
    began = joined.tasks.now
    joined.sio.enter_room(sid, "another")
    assert joined.tasks.now - began == pytest.approx(joined.sio.settings.join_timeout, abs=0.3)
    assert joined.sio.rooms(sid) == [sid, "room", "another"]


def test_rooms_of_clients_elsewhere_and_here(joined: Joined) -> None:
    joined.starts()
    sid = joined.joined().sid
    before = len(joined.published())
    joined.sio.leave_room("bbbb" + "x" * 16, "room")
    joined.sio.close_room("room")
    joined.sio.disconnect("bbbb" + "x" * 16)
    assert len(joined.published()) > before
    joined.sio.leave_room(sid, "room")
    joined.sio.disconnect(sid)
    assert not joined.sio.manager.is_connected(sid, "/")


def test_asking_a_client_of_a_node_that_is_not_there(joined: Joined) -> None:
    joined.starts()
    with pytest.raises((DisconnectedError, TimeoutError)):
        joined.sio.call("question", to="bbbb" + "x" * 16, timeout=30)
    assert not joined.left().keys() & {"acks", "handlers"}


def test_asking_here_alone(joined: Joined) -> None:
    joined.starts()
    began = joined.tasks.now
    with pytest.raises(DisconnectedError):
        joined.sio.call("question", to="bbbb" + "x" * 16, ignore_queue=True)
    assert joined.tasks.now == began


def test_what_is_emitted_to_this_node_alone_is_not_published(joined: Joined) -> None:
    joined.starts()
    client = joined.joined()
    before = len(joined.published())
    answers: list[Any] = []
    joined.sio.emit("local", ignore_queue=True)
    joined.sio.emit("asked", to=client.sid, ignore_queue=True, callback=answers.append)
    joined.sio.emit("asked", to=client.sid, callback=answers.append)
    assert client.received() == ['42["local"]', '420["asked"]', '421["asked"]']
    client.sends("430[1]", "431[2]")
    joined.tasks.others()
    assert sorted(answers) == [1, 2]
    assert len(joined.published()) == before


def test_accepted_makes_room(tasks: PlayedTasks) -> None:
    joined = Joined(tasks, publish_buffer_bytes=1_048_576)
    joined.starts()
    joined.broker.listener.accepted(2)
    for _ in range(2):
        joined.sio.emit("large", bytes(600_000))
    assert len(joined.published()) == 3
    joined.broker.listener.accepted(1)
    assert len(joined.published()) == 4


def test_what_waits_at_the_end_is_published_before_goodbye_is_said(tasks: PlayedTasks) -> None:
    joined = Joined(tasks, publish_buffer_bytes=1_048_576)
    joined.starts()
    joined.broker.listener.accepted(2)
    for _ in range(2):
        joined.sio.emit("large", bytes(600_000))
    ending = tasks.start(joined.sio.shutdown)
    tasks.others()
    joined.broker.listener.accepted(1)
    ending.join()
    assert joined.published()[-2:] == [(ALL, ["emit"]), (ALL, ["goodbye"])]


def test_a_broker_that_takes_nothing_more_is_not_waited_for_long(
    tasks: PlayedTasks, caplog: pytest.LogCaptureFixture
) -> None:
    joined = Joined(tasks, publish_buffer_bytes=1_048_576)
    joined.starts()
    for _ in range(2):
        joined.sio.emit("large", bytes(600_000))
    began = tasks.now
    joined.sio.shutdown()
    assert tasks.now - began == pytest.approx(FLUSH_PATIENCE, abs=0.2)
    assert "1 operations had not been taken by the broker" in caplog.text
    assert joined.broker.calls[-1][0] == "close"


def test_resetting_is_passed_on_when_the_turn_is_over(joined: Joined) -> None:
    joined.bus.reset()
    joined.starts()
    with joined.runtime.turn:
        joined.runtime.do(ResetBroker())
        assert joined.broker.calls[-1] != ("reset",)
    assert joined.broker.calls[-1] == ("reset",)


def test_a_node_that_draws_another_tag_joins_anew_by_another_connection(joined: Joined) -> None:
    joined.starts()
    hooks = joined.bus.cluster.confessions.on_gap
    with joined.runtime.turn:
        joined.sio.node.sids.draw()
        joined.runtime.do(DrawTag())
    tag = joined.sio.node.sids.tag
    joined.tasks.others()
    first, _ = joined.brokers
    assert first.calls[-1][0] == "close"
    assert list(joined.wanted()) == [ALL, CHANNELS.node(tag)]
    joined.comes_up()
    assert joined.published()[0] == (ALL, ["hello"])
    assert joined.bus.cluster.origin.name == joined.sio.cluster.tag == tag
    assert joined.bus.cluster.confessions.on_gap is hooks


def test_a_server_that_ends_while_it_joins_anew(joined: Joined) -> None:
    joined.starts()
    with joined.runtime.turn:
        joined.runtime.do(DrawTag())
    joined.sio.shutdown()
    joined.tasks.others()
    joined.tasks.advance(HELLO_PATIENCE + 1)
    assert all(broker.calls[-1][0] == "close" for broker in joined.brokers)


def test_a_server_that_ends_and_starts_again_joins_again(joined: Joined) -> None:
    joined.starts()
    epoch = joined.bus.cluster.origin.epoch
    joined.ends()
    joined.bus.close()
    joined.sio.emit("between")
    joined.starts()
    assert len(joined.brokers) == 2
    assert joined.bus.cluster.origin.epoch != epoch
    assert joined.published()[0][1] == ["hello"]


def test_after_the_end_questions_end_too(joined: Joined) -> None:
    joined.starts()
    joined.ends()
    with pytest.raises(DisconnectedError):
        joined.sio.call("question", to="bbbb" + "x" * 16, timeout=None)


def test_who_still_tells_something_after_the_end_is_not_heard(joined: Joined) -> None:
    joined.starts()
    joined.ends()
    listener, before = joined.broker.listener, dict(joined.bus.cluster.counters.dropped)
    listener.delivered(ALL, b"late")
    listener.confirmed(ALL, 1)
    listener.accepted(1)
    listener.changed(State.CLOSED, None)
    assert dict(joined.bus.cluster.counters.dropped) == before


def test_the_child_of_a_fork_joins_by_itself_and_publishes_nothing_of_its_parents(joined: Joined) -> None:
    joined.sio.emit("before")
    epoch = joined.bus.cluster.origin.epoch
    joined.runtime.forked()
    joined.starts()
    assert joined.bus.cluster.origin.epoch != epoch
    assert joined.published() == [(ALL, ["hello"]), (ALL, ["beat"])]

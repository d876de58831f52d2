"""The one connection of a node to its broker: who is told what, in which turn of the loop, and how it begins and ends.

The broker does what the test says (:mod:`tests.support.scripted_brokers`). Decisions are tested in tests/node/core.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

import roomcast
from roomcast.core.cluster import ClusterOptions
from roomcast.core.work import DrawTag, ResetBroker
from roomcast.drivers.asyncio import bus as bus_module
from roomcast.drivers.asyncio.bus import Bus
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, encode_body, encode_operation, new_origin
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.errors import BrokerUnreachableError
from roomcast_brokers.messages import Emit, Hello, Kind
from tests.support.coroutines import turns
from tests.support.counting import Crowd
from tests.support.inprocess import eventually
from tests.support.patience import PATIENCE
from tests.support.scripted_brokers import ScriptedAsyncBroker

CLUSTER = "shop"
CHANNELS = Channels(CLUSTER)
ALL = CHANNELS.everyone
SHORT = 0.01


class BatchBroker(ScriptedAsyncBroker):
    """Has the ability to take what a turn has made in one go."""

    def publish_batch(self, messages: Sequence[tuple[str, bytes]]) -> None:
        if self.refuses:
            raise BrokerUnreachableError("refused, as scripted")
        self.calls.append(("publish_batch", tuple(messages)))


class SilentBroker(ScriptedAsyncBroker):
    """Does not know whether a channel is subscribed."""

    def __init__(self) -> None:
        super().__init__(Traits(confirms_subscriptions=False))


class Joined:
    """A server with a bus over scripted brokers; ``brokers`` are those that it has made, the present one last."""

    def __init__(
        self, make: type[ScriptedAsyncBroker] = ScriptedAsyncBroker, *, tag: str = "aaaa", **settings: Any
    ) -> None:
        self.sio = roomcast.AsyncServer(namespaces="*", tag=tag, drain_seconds=0.0, **settings)
        self.brokers: list[ScriptedAsyncBroker] = []
        self._make = make
        self.reader = EnvelopeCodec(new_origin("read"), CLUSTER)
        traits = make().traits
        options = ClusterOptions(name=CLUSTER, keys=None, traits=traits, random_tag=True)
        self.bus = Bus(self.sio.node, options, self._new_broker)
        self.sio.bus = self.sio.runtime.bus = self.bus
        self.bus.cluster.confessions.on_gap = self.sio.cluster.gap_hooks

    def _new_broker(self) -> ScriptedAsyncBroker:
        self.brokers.append(self._make())
        return self.brokers[-1]

    @property
    def broker(self) -> ScriptedAsyncBroker:
        return self.brokers[-1]

    async def starts(self) -> None:
        """Start it, and let the broker be reached at once."""
        starting = asyncio.create_task(self.sio.start())
        await turns(2)
        self.comes_up()
        await asyncio.wait_for(starting, PATIENCE)
        await turns(2)

    def comes_up(self) -> None:
        """All that is wanted is confirmed, and the broker is there."""
        for channel, generation in self.wanted().items():
            self.broker.listener.confirmed(channel, generation)
        self.broker.listener.changed(State.UP, None)

    def wanted(self) -> dict[str, int]:
        wanted: dict[str, int] = {}
        for name, *arguments in self.broker.calls:
            if name == "subscribe":
                wanted[arguments[0]] = arguments[1]
            elif name == "unsubscribe":
                wanted.pop(arguments[0], None)
        return wanted

    def published(self) -> list[tuple[str, list[str]]]:
        """(channel, kinds) of the messages that were handed over, oldest first."""
        found = []
        for channel, payload in self.broker.published:
            kinds = [Kind(each.kind).name.lower() for each in self.reader.decode(channel, payload).operations]
            found.append((channel, kinds))
        return found

    async def ends(self) -> None:
        await asyncio.wait_for(self.sio.shutdown(), PATIENCE)


def test_making_one_connects_to_nothing_and_needs_no_loop() -> None:
    joined = Joined()
    assert joined.brokers == []
    assert not joined.bus.is_open


async def test_it_wants_its_channels_before_the_broker_is_there_and_says_hello_when_it_is() -> None:
    joined = Joined()
    starting = asyncio.create_task(joined.sio.start())
    await turns(3)
    assert not starting.done()
    assert joined.broker.calls[0] == ("open",)
    assert list(joined.wanted()) == [ALL, CHANNELS.node("aaaa")]
    assert joined.published() == []
    joined.comes_up()
    await asyncio.wait_for(starting, PATIENCE)
    await turns(2)
    assert joined.published() == [(ALL, ["hello"]), (ALL, ["beat"])]
    await joined.ends()
    assert joined.broker.calls[-1] == ("close",)
    assert joined.published()[-1] == (ALL, ["goodbye"])


async def test_where_the_broker_confirms_nothing_the_start_waits_for_probes() -> None:
    joined = Joined(SilentBroker)
    starting = asyncio.create_task(joined.sio.start())
    await turns(3)
    joined.comes_up()
    await turns(3)
    probes = joined.broker.published
    assert joined.published() == [(ALL, ["probe"]), (CHANNELS.node("aaaa"), ["probe"])]
    assert not starting.done()
    for channel, payload in probes:
        joined.broker.listener.delivered(channel, payload)
    await asyncio.wait_for(starting, PATIENCE)
    await turns(2)
    assert joined.published()[2:] == [(ALL, ["hello"]), (ALL, ["beat"])]
    await joined.ends()


async def test_a_broker_that_is_known_to_be_away_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    joined = Joined()
    starting = asyncio.create_task(joined.sio.start())
    await turns(2)
    for _ in range(3):
        joined.broker.listener.changed(State.CONNECTING, BrokerUnreachableError("refused"))
    await asyncio.wait_for(starting, PATIENCE)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1, "one line for one outage"
    assert "refused" in errors[0].getMessage()
    assert joined.sio.readiness().degraded == ("the broker is away",)
    joined.comes_up()
    joined.broker.listener.changed(State.CONNECTING, BrokerUnreachableError("again"))
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 2, "and one for the next"
    await joined.ends()


async def test_a_broker_that_does_not_answer_is_waited_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bus_module, "HELLO_PATIENCE", SHORT)
    joined = Joined()
    await asyncio.wait_for(joined.sio.start(), PATIENCE)
    assert "has not answered yet" in caplog.text
    joined.comes_up()
    await turns(2)
    assert joined.published()[0] == (ALL, ["hello"])
    await joined.ends()


async def test_what_one_turn_makes_is_handed_over_once_and_in_order() -> None:
    joined = Joined()
    await joined.starts()
    before = len(joined.published())
    for room in (None, None, "x", None):
        await joined.sio.emit("hello", to=room)
    assert len(joined.published()) == before
    await turns()
    channel = CHANNELS.room("/", "x")
    assert joined.published()[before:] == [(ALL, ["emit", "emit"]), (channel, ["emit"]), (ALL, ["emit"])]
    await joined.ends()


async def test_a_broker_that_takes_whole_turns_gets_them_whole() -> None:
    joined = Joined(BatchBroker)
    await joined.starts()
    for room in (None, "x", None):
        await joined.sio.emit("hello", to=room)
    await turns()
    assert joined.broker.published == []
    name, messages = joined.broker.calls[-1]
    assert name == "publish_batch"
    assert [channel for channel, _ in messages] == [ALL, CHANNELS.room("/", "x"), ALL]
    await joined.ends()


@pytest.mark.parametrize("make", [ScriptedAsyncBroker, BatchBroker])
async def test_what_is_refused_in_the_moment_of_a_break_is_handed_over_again(make: type[ScriptedAsyncBroker]) -> None:
    joined = Joined(make)
    await joined.starts()
    joined.broker.listener.accepted(100)
    joined.broker.refuses = True
    await joined.sio.emit("hello")
    await turns()
    joined.broker.listener.changed(State.CONNECTING, BrokerUnreachableError("gone"))
    joined.broker.refuses = False
    joined.broker.calls.clear()
    await joined.sio.emit("later", to="x")
    await turns()
    assert joined.broker.calls == []
    joined.broker.listener.changed(State.UP, None)

    def emits() -> list[str]:
        """The channels of what was emitted, in order; what nodes tell each other goes ahead."""
        if isinstance(joined.broker, BatchBroker):
            messages = [message for call in joined.broker.calls for message in call[1]]
        else:
            messages = joined.broker.published
        decoded = [(channel, joined.reader.decode(channel, payload)) for channel, payload in messages]
        return [channel for channel, each in decoded if [kind.kind for kind in each.operations] == [Kind.EMIT]]

    await eventually(lambda: len(emits()) == 2)  # they are held back until the others have subscribed again
    assert emits() == [ALL, CHANNELS.room("/", "x")]
    await joined.ends()


async def test_what_is_emitted_before_the_start_is_published_after_it() -> None:
    joined = Joined()
    await joined.sio.emit("early")
    await joined.starts()
    assert joined.published()[0] == (ALL, ["emit"])
    await joined.ends()


async def test_application_code_never_runs_inside_a_call_of_the_broker() -> None:
    """What comes of a message is done in a later turn."""
    joined = Joined()
    await joined.starts()
    called: list[Any] = []
    heard = asyncio.Event()

    @joined.sio.cluster.on_gap
    def note(gap: Any) -> None:
        called.append(gap)
        heard.set()

    other = EnvelopeCodec(new_origin("bbbb"), CLUSTER)
    emit = encode_body(Emit(2, "/", "json", b'["hello"]'))
    for seq in (1, 9):
        payload = other.encode(ALL, 1, seq, 0, [encode_operation(Kind.EMIT, seq, emit)])
        joined.broker.listener.delivered(ALL, payload)
    joined.broker.listener.delivered(ALL, other.control(ALL, Kind.HELLO, encode_body(Hello(1)), 0))
    assert called == []
    await asyncio.wait_for(heard.wait(), PATIENCE)
    assert [gap.count for gap in called] == [7]
    await joined.ends()


async def test_entering_a_room_waits_for_the_broker_and_no_longer_than_it_may() -> None:
    joined = Joined()
    await joined.starts()
    socket_sid = await _client(joined)
    entering = asyncio.create_task(joined.sio.enter_room(socket_sid, "room"))
    await turns(3)
    assert not entering.done()
    channel = CHANNELS.room("/", "room")
    joined.broker.listener.confirmed(channel, joined.wanted()[channel])
    await asyncio.wait_for(entering, PATIENCE)
    cancelled = asyncio.create_task(joined.sio.enter_room(socket_sid, "another"))
    await turns(2)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert "another" in joined.sio.rooms(socket_sid)
    channel = CHANNELS.room("/", "another")
    joined.broker.listener.confirmed(channel, joined.wanted()[channel])
    await joined.ends()


async def _client(joined: Joined) -> str:
    await Crowd(joined.sio).join(1)
    ((sid, _),) = joined.sio.manager.get_participants("/", None)
    return str(sid)


async def test_resetting_is_passed_on() -> None:
    joined = Joined()
    joined.bus.reset()
    await joined.starts()
    joined.sio.runtime.do(ResetBroker())
    assert joined.broker.calls[-1] == ("reset",)
    await joined.ends()


async def test_a_node_that_draws_another_tag_joins_anew_by_another_connection() -> None:
    joined = Joined()
    await joined.starts()
    hooks = joined.bus.cluster.confessions.on_gap
    joined.sio.node.sids.draw()
    tag = joined.sio.node.sids.tag
    joined.sio.runtime.do(DrawTag())
    await turns(6)
    first, second = joined.brokers
    assert first.calls[-1] == ("close",)
    assert list(joined.wanted()) == [ALL, CHANNELS.node(tag)]
    joined.comes_up()
    await turns(3)
    assert joined.published()[0] == (ALL, ["hello"])
    assert joined.bus.cluster.origin.name == joined.sio.cluster.tag == tag
    assert joined.bus.cluster.confessions.on_gap is hooks
    await joined.ends()
    assert second.calls[-1] == ("close",)


async def test_a_server_that_ends_and_starts_again_joins_again() -> None:
    joined = Joined()
    await joined.starts()
    epoch = joined.bus.cluster.origin.epoch
    await joined.ends()
    assert not joined.bus.is_open
    await joined.sio.emit("between")
    await joined.starts()
    assert len(joined.brokers) == 2
    assert joined.bus.cluster.origin.epoch != epoch
    assert joined.published()[0][1] == ["hello"]
    await joined.ends()


def large() -> bytes:
    """Two of these are more than may be with the broker at a time."""
    return bytes(600_000)


async def test_what_waits_at_the_end_is_published_before_goodbye_is_said() -> None:
    joined = Joined(publish_buffer_bytes=1_048_576)
    await joined.starts()
    joined.broker.listener.accepted(2)
    for _ in range(2):
        await joined.sio.emit("large", large())
    await turns(2)
    assert joined.published()[-1] == (ALL, ["emit"])
    ending = asyncio.create_task(joined.ends())
    await turns(5)
    assert len(joined.published()) == 3
    joined.broker.listener.accepted(1)
    await ending
    assert joined.published()[-2:] == [(ALL, ["emit"]), (ALL, ["goodbye"])]


@pytest.mark.parametrize("hurried", [False, True])
async def test_a_broker_that_takes_nothing_more_is_not_waited_for_long(
    hurried: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bus_module, "FLUSH_PATIENCE", 10 * PATIENCE if hurried else SHORT)
    joined = Joined(publish_buffer_bytes=1_048_576)
    await joined.starts()
    for _ in range(2):
        await joined.sio.emit("large", large())
    joined.sio.runtime.hurried = hurried
    await joined.ends()
    assert ("1 operations had not been taken by the broker" in caplog.text) is not hurried
    assert joined.broker.calls[-1] == ("close",)


async def test_an_end_that_is_cancelled_leaves_nothing_due() -> None:
    joined = Joined()
    await joined.starts()
    joined.broker.may_close.clear()
    closing = asyncio.create_task(joined.bus.close())
    await turns(2)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert joined.bus.cluster.state is State.CLOSED
    await joined.bus.close()
    joined.sio.node.engine.deadlines.run(float("inf"))  # would never end
    await joined.ends()


async def test_who_still_tells_something_after_the_end_is_not_heard() -> None:
    joined = Joined()
    await joined.starts()
    await joined.ends()
    listener = joined.broker.listener
    cluster = joined.bus.cluster
    before = dict(cluster.counters.dropped)
    listener.delivered(ALL, b"late")
    listener.confirmed(ALL, 1)
    listener.accepted(1)
    listener.changed(State.UP, None)
    joined.bus.draw_tag()
    assert dict(cluster.counters.dropped) == before
    assert cluster.state is State.CLOSED

"""``AsyncEmitter`` as applications use it, over the embedded broker."""

from __future__ import annotations

import asyncio
import inspect
import os
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.errors import AddressError, BrokerURLError, KeyRingError, RoomTypeError, UnencodableError
from roomcast_brokers.messages import Body, CloseRoom, Disconnect, Emit, Join, Leave, Marks
from roomcast_brokers.registry import BackEnd, create
from roomcast_emitter import AsyncEmitter, EmitterClosedError, EmitterError, NotDeliveredError
from roomcast_emitter.emitter import Emitter
from tests.support.listeners import RecordingListener
from tests.support.scripted_brokers import ScriptedAsyncBroker

SID = "tagA" + "s" * 16
CHANNELS = Channels("socketio")


class Node:
    """Hears what is emitted, as a node would."""

    def __init__(self) -> None:
        self.url = f"memory://{uuid.uuid4().hex}"
        self.listener = RecordingListener()
        self.broker = create(self.url)
        self._codec = EnvelopeCodec(new_origin("test"), "socketio")

    async def __aenter__(self) -> Node:
        self.broker.open(self.listener)
        channels = [CHANNELS.everyone, CHANNELS.node("tagA"), *(CHANNELS.room(ns, "room") for ns in ("/", "/x"))]
        for channel in channels:
            self.broker.subscribe(channel, 1)
        await self.listener.until(lambda heard: len(heard.confirmations) == len(channels))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.broker.close()

    def bodies(self) -> list[Body]:
        """What was heard so far."""
        envelopes = [self._codec.decode(channel, payload) for channel, payload in self.listener.messages]
        return [decode_body(operation) for envelope in envelopes for operation in envelope.operations]

    async def heard(self, count: int) -> list[Body]:
        await self.listener.until(lambda _: len(self.bodies()) >= count)
        return self.bodies()


async def test_everything_an_emit_can_say() -> None:
    async with Node() as node, AsyncEmitter(node.url) as emitter:
        receipt = await emitter.emit("e", (1, b"x"), to=["a", 7], skip_sid=[SID], namespace="/x", volatile=True)
        assert receipt.delivered
        await emitter.send("hello", None, "room", SID, "/x")
        first, second = await node.heard(2)
    assert first == Emit(
        2, "/x", "json", b'["e",1,{"_placeholder":true,"num":0}]', (b"x",), ("a", 7), (), (), (SID,), volatile=True
    )
    assert second == Emit(2, "/x", "json", b'["message","hello"]', rooms=("room",), except_sids=(SID,))


async def test_a_chain() -> None:
    async with Node() as node, AsyncEmitter(node.url) as emitter:
        room = emitter.to("room").in_namespace("/x")
        await room.except_("b").emit("e", 1, volatile=True)
        await room.send("hello")
        first, second = await node.heard(2)
    assert first == Emit(
        2, "/x", "json", b'["e",1]', rooms=("room",), except_rooms=("b",), volatile=True
    )
    assert second == Emit(2, "/x", "json", b'["message","hello"]', rooms=("room",))


async def test_rooms_and_clients() -> None:
    async with Node() as node, AsyncEmitter(node.url) as emitter:
        await emitter.enter_room(SID, "room")
        await emitter.leave_room(SID, "room", "/x")
        await emitter.close_room("room")
        await emitter.disconnect(SID, close=True)
        assert emitter.counts().delivered == 4
        assert await emitter.flush()
        *bodies, marks = await node.heard(5)
    assert bodies == [
        Join("/", SID, "room"),
        Leave("/x", SID, "room"),
        CloseRoom("/", "room"),
        Disconnect("/", SID, True),
    ]
    assert isinstance(marks, Marks)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda emitter: emitter.emit("e", object()), UnencodableError),
        (lambda emitter: emitter.emit("connect"), ValueError),
        (lambda emitter: emitter.emit("e", to=1.5), RoomTypeError),
        (lambda emitter: emitter.to("a").emit("e", object()), UnencodableError),
    ],
)
async def test_mistakes_are_told(call: Callable[[AsyncEmitter], Any], error: type[Exception]) -> None:
    emitter = AsyncEmitter("memory://")
    with pytest.raises(error):
        await call(emitter)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("redid://localhost",), BrokerURLError),
        (("memory://", "a cluster"), AddressError),
        (("memory://", "shop", [""]), KeyRingError),
    ],
)
def test_what_could_never_work_fails_when_it_is_made(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        AsyncEmitter(*arguments)


def test_the_same_methods_as_coroutines() -> None:
    for name in ("emit", "send", "enter_room", "leave_room", "close_room", "disconnect", "flush", "close"):
        assert inspect.iscoroutinefunction(getattr(AsyncEmitter, name))
        plain = inspect.signature(getattr(Emitter, name)).parameters
        assert inspect.signature(getattr(AsyncEmitter, name)).parameters == plain


# --- loops and processes ----------------------------------------------------------------------------------------------


async def test_raising_and_queueing() -> None:
    brokers: list[ScriptedAsyncBroker] = []

    def make(url: str) -> ScriptedAsyncBroker:
        brokers.append(ScriptedAsyncBroker())
        return brokers[-1]

    emitter = scripted(make, on_failure="raise")
    task = asyncio.ensure_future(emitter.emit("e"))
    await asyncio.sleep(0)
    brokers[0].listener.changed(State.CONNECTING, ConnectionError("refused"))
    with pytest.raises(NotDeliveredError):
        await task
    await emitter.close()
    queueing = scripted(make)
    task = asyncio.ensure_future(queueing.emit("e"))
    await asyncio.sleep(0)
    brokers[1].listener.changed(State.CONNECTING, ConnectionError("refused"))
    receipt = await task
    assert await receipt.wait(0.0) == "queued"
    await queueing.close(0.0)
    assert await receipt.wait() == "dropped"


async def test_where_a_channel_per_room_is_too_dear_it_writes_to_shards() -> None:
    broker = ScriptedAsyncBroker(Traits(cheap_subscriptions=False))
    emitter = scripted(lambda url: broker)
    task = asyncio.ensure_future(emitter.emit("e", to="room"))
    await asyncio.sleep(0)
    broker.listener.changed(State.UP, None)
    await asyncio.sleep(0)
    broker.listener.accepted(1)
    assert (await task).delivered
    assert [channel for channel, _ in broker.published] == [Channels("socketio", shards=True).room("/", "room")]
    await emitter.close(0.0)


def scripted(make: Callable[[str], ScriptedAsyncBroker], **options: Any) -> AsyncEmitter:
    global made  # the registry finds what it makes by its name
    made = make
    table = {"scripted": BackEnd(f"{__name__}:made_broker")}
    return AsyncEmitter("scripted://", broker_options={"table": table}, **options)


made: Callable[[str], ScriptedAsyncBroker]


def made_broker(url: str) -> ScriptedAsyncBroker:
    return made(url)


def test_a_loop_after_another() -> None:
    emitter = AsyncEmitter(f"memory://{uuid.uuid4().hex}")
    origins = set()

    async def emits() -> None:
        assert (await emitter.emit("e")).delivered
        assert emitter._delivery is not None
        origins.add(id(emitter._delivery))
        assert (await emitter.emit("e")).delivered

    async def ends() -> None:
        await emits()
        await emitter.close()
        assert await emitter.close()
        for call in (emitter.emit("e"), emitter.flush()):
            with pytest.raises(EmitterClosedError):
                await call

    asyncio.run(emits())
    asyncio.run(ends())


def test_two_loops_at_a_time_are_one_too_many() -> None:
    emitter = AsyncEmitter(f"memory://{uuid.uuid4().hex}")
    with asyncio.Runner() as one, asyncio.Runner() as two:
        one.run(emitter.emit("e"))
        with pytest.raises(EmitterError, match="one event loop"):
            two.run(emitter.emit("e"))
        one.run(emitter.close())


async def test_a_child_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    emitter = AsyncEmitter(f"memory://{uuid.uuid4().hex}")
    await emitter.emit("e")
    parents = emitter._delivery
    monkeypatch.setattr(os, "getpid", lambda: -1)
    await emitter.emit("e")
    assert emitter._delivery is not parents
    await emitter.close()
    assert parents is not None
    await parents.close(0.0)

"""Emitters over ZeroMQ: what holds for Redis holds for the embedded broker, forks included."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Any

from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import State
from roomcast_brokers.messages import Emit
from roomcast_brokers.registry import create
from roomcast_emitter import AsyncEmitter, Emitter
from tests.support.forwarders import forwarding
from tests.support.listeners import RecordingListener

CHANNELS = Channels("shop")


def values(listener: RecordingListener) -> list[Any]:
    """The first argument of each event that was heard."""
    codec = EnvelopeCodec(new_origin("test"), "shop")
    envelopes = [codec.decode(channel, payload) for channel, payload in listener.messages]
    bodies = [decode_body(operation) for envelope in envelopes for operation in envelope.operations]
    return [json.loads(body.args)[1] for body in bodies if isinstance(body, Emit)]


def in_a_child(call: Callable[[], object]) -> int:
    """Fork, call it there, and return how that ended."""
    child = os.fork()
    if child == 0:
        try:
            call()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def test_emitters_of_both_colours_and_of_a_forked_child() -> None:
    with forwarding() as forwarder:
        listener = RecordingListener()
        broker = create(forwarder.url)
        broker.open(listener)
        broker.subscribe(CHANNELS.everyone, 1)
        await listener.until(lambda heard: heard.state is State.UP and heard.confirmations)
        with Emitter(forwarder.url, "shop", on_failure="raise") as emitter:
            assert (await asyncio.to_thread(emitter.emit, "e", 1)).delivered
            assert await asyncio.to_thread(in_a_child, lambda: emitter.emit("e", 2) and emitter.flush()) == 0
            assert (await asyncio.to_thread(emitter.emit, "e", 3)).delivered
        async with AsyncEmitter(forwarder.url, "shop") as other:
            assert (await other.emit("e", 4)).delivered
        await listener.until(lambda heard: len(values(heard)) == 4)
        assert values(listener) == [1, 2, 3, 4]
        await broker.close()

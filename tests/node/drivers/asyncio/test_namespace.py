"""Every method of a class-based namespace reaches the server, with its own namespace or another."""

from __future__ import annotations

import asyncio

import pytest

import roomcast
from tests.support.namespace_calls import CALLS, RecordingServer


@pytest.mark.parametrize("method", CALLS)
async def test_the_namespace_is_filled_in(method: str) -> None:
    positional, keywords = CALLS[method]
    for chosen, expected in ((None, "/mine"), ("/other", "/other")):
        namespace = roomcast.AsyncNamespace("/mine")
        server = RecordingServer(asynchronous=True)
        namespace.server = server
        options = keywords if chosen is None else {**keywords, "namespace": chosen}
        result = getattr(namespace, method)(*positional, **options)
        if asyncio.iscoroutine(result):
            await result
        server.check(method, positional, expected)


async def test_trigger_event_of_each_colour() -> None:
    class Chat(roomcast.AsyncNamespace):
        def on_plain(self, sid: str, value: int) -> int:
            return value

        async def on_coroutine(self, sid: str, value: int) -> int:
            await asyncio.sleep(0)
            return value

        async def on_cancelled(self, sid: str) -> None:
            raise asyncio.CancelledError

    chat = Chat("/chat")
    assert chat.is_asyncio_based()
    assert await chat.trigger_event("plain", "sid", 1) == 1
    assert await chat.trigger_event("coroutine", "sid", 2) == 2
    assert await chat.trigger_event("cancelled", "sid") is None
    assert await chat.trigger_event("unheard", "sid", 3) is None

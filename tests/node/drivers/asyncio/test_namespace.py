"""Every method of a class-based namespace reaches the server, with its own namespace or another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import roomcast

CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "emit": (("e", 1), {"to": "room"}),
    "send": (("text",), {"room": "room"}),
    "call": (("e", 1), {"sid": "abc", "timeout": 3}),
    "enter_room": (("abc", "room"), {}),
    "leave_room": (("abc", "room"), {}),
    "close_room": (("room",), {}),
    "rooms": (("abc",), {}),
    "get_session": (("abc",), {}),
    "save_session": (("abc", {"name": "Ann"}), {}),
    "session": (("abc",), {}),
    "disconnect": (("abc",), {}),
}


class RecordingServer:
    """Takes every call of a server's method; coroutines where the server has them."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, method: str) -> Any:
        def plain(*args: Any) -> list[Any]:
            self.calls.append((method, args))
            return ["answer"]

        async def coroutine(*args: Any) -> list[Any]:
            return plain(*args)

        return coroutine if asyncio.iscoroutinefunction(getattr(roomcast.AsyncServer, method)) else plain


@pytest.mark.parametrize("method", CALLS)
async def test_the_namespace_is_filled_in(method: str) -> None:
    positional, keywords = CALLS[method]
    for chosen, expected in ((None, "/mine"), ("/other", "/other")):
        namespace = roomcast.AsyncNamespace("/mine")
        server = RecordingServer()
        namespace.server = server
        options = keywords if chosen is None else {**keywords, "namespace": chosen}
        result = getattr(namespace, method)(*positional, **options)
        if asyncio.iscoroutine(result):
            await result
        ((called, args),) = server.calls
        assert called == method
        assert expected in args
        assert set(map(repr, positional)) <= set(map(repr, args))


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

"""How the methods of a class-based namespace are called, and a server that keeps what it was asked."""

from __future__ import annotations

import asyncio
from typing import Any

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
    """Takes every call of a server's method; coroutines where the server has them, if it is one for asyncio."""

    def __init__(self, asynchronous: bool = False) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self._asynchronous = asynchronous

    def __getattr__(self, method: str) -> Any:
        def plain(*args: Any) -> list[Any]:
            self.calls.append((method, args))
            return ["answer"]

        async def coroutine(*args: Any) -> list[Any]:
            return plain(*args)

        awaited = self._asynchronous and asyncio.iscoroutinefunction(getattr(roomcast.AsyncServer, method))
        return coroutine if awaited else plain

    def check(self, method: str, positional: tuple[Any, ...], namespace: str) -> None:
        """That method alone was called, once, with these arguments and in that namespace."""
        ((called, args),) = self.calls
        assert called == method
        assert namespace in args
        assert set(map(repr, positional)) <= set(map(repr, args))

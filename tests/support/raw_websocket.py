"""A WebSocket client whose every byte is the test's, and a server that echoes."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Self, cast

import pytest
import uvloop

import roomcast
from tests.support.api_client import TIMEOUT, Wire
from tests.support.inprocess import Way
from tests.support.masked import masked_frame

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FAST = Way("fast", "uvloop")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def on_every_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Where transports of asyncio and uvloop behave differently: closing, pausing, TLS."""

    @pytest.mark.parametrize("loop", LOOPS)
    def run(loop: str, **arguments: Any) -> None:
        uncaught: list[dict[str, Any]] = []

        async def watched() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: uncaught.append(context))
            async with asyncio.timeout(4 * TIMEOUT):
                await test(**arguments)

        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(watched())
        assert uncaught == []

    signature = inspect.signature(test)
    loop = inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    with_loop = signature.replace(parameters=[loop, *signature.parameters.values()])
    run.__signature__ = with_loop  # what pytest reads fixtures and parameters from
    run.__doc__ = test.__doc__
    return cast("Callable[..., None]", run)


def handshake(query: str = "EIO=4&transport=websocket", path: str = "/socket.io/", **headers: str | None) -> bytes:
    """An upgrade request; ``Header_Name="value"`` replaces a header, None leaves it out."""
    lines: dict[str, str | None] = {
        "Host": "example.org",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    lines.update({name.replace("_", "-"): value for name, value in headers.items()})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"GET {path}?{query} HTTP/1.1\r\n{head}\r\n".encode()


class RawSocket:
    """A WebSocket client whose every byte is the test's."""

    def __init__(self, wire: Wire, head: bytes = b"") -> None:
        self.wire = wire
        self.head = head

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, base: str, request: bytes | None = None) -> AsyncIterator[Self]:
        wire = await Wire.open(base)
        try:
            await wire.send(request or handshake())
            raw = cls(wire, await wire.until(b"\r\n\r\n"))
            assert raw.head.startswith(b"HTTP/1.1 101 "), raw.head
            yield raw
        finally:
            await wire.aclose()

    async def send(self, *frames: bytes) -> None:
        await self.wire.send(b"".join(frames))

    async def texts(self, *texts: str) -> None:
        await self.send(*(masked_frame(TEXT, text.encode()) for text in texts))

    async def frame(self) -> tuple[int, bytes]:
        """The first byte and the payload of the next frame."""
        read = self.wire.reader.readexactly
        async with asyncio.timeout(TIMEOUT):
            first, size = await read(2)
            assert size < 128, "servers do not mask"
            if size >= 126:
                size = int.from_bytes(await read(2 if size == 126 else 8), "big")
            return first, await read(size)

    async def text(self) -> str:
        first, payload = await self.frame()
        assert first == 0x80 | TEXT, (first, payload)
        return payload.decode()

    async def connected(self) -> Self:
        assert (await self.text()).startswith("0{")
        await self.texts("40")
        assert (await self.text()).startswith("40{")
        return self


def echo_server(**options: Any) -> roomcast.AsyncServer:
    sio = roomcast.AsyncServer(**options)

    @sio.on("echo")
    async def echo(sid: str, *args: Any) -> Any:
        return args

    return sio

"""Long polling under ASGI: its messages in, one answer out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast.drivers.asyncio.polling import CutOffError, answer_http

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.runtime import Runtime
    from roomcast.engineio.request import Request


class AsgiIncoming:
    """What ``receive`` still has of a request (:class:`~roomcast.drivers.asyncio.polling.Incoming`)."""

    __slots__ = ("_ended", "_receive")

    def __init__(self, receive: Any) -> None:
        self._receive = receive
        self._ended = False

    async def part(self) -> bytes | None:
        if self._ended:
            return None
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise CutOffError
        self._ended = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body

    async def gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def handle_http(runtime: Runtime, request: Request, receive: Any, send: Any) -> None:
    """Answer one HTTP request for the engine."""
    answer = await answer_http(runtime, request, AsgiIncoming(receive))
    if answer is not None:
        await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
        await send({"type": "http.response.body", "body": answer.body})

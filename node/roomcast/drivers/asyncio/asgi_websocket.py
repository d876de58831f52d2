"""WebSockets under plain ASGI: whole messages in, whole messages out, on any ASGI server."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from roomcast.core.link import WebSocketLink
from roomcast.drivers.asyncio.tasks import Suspended
from roomcast.engineio.admission import Handshake, Surplus, Upgrade
from roomcast.websocket.closecodes import TOO_BIG
from roomcast.websocket.frames import BINARY, TEXT, split_frames, text_frame

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.runtime import Runtime
    from roomcast.engineio.request import Request
    from roomcast.engineio.response import Response

# ASGI has no way to send an empty close frame; 1000 is what clients take it for.
NORMAL_CLOSURE = 1000


class AsgiSocket:
    """One WebSocket of an ASGI server: the sink of an outbox, and the owner of a link.

    Messages are sent one after another; while the server makes a ``send`` wait, the outbox is paused.
    """

    __slots__ = ("_ended", "_queue", "_queued", "_runtime", "_send", "_sending", "link")

    # The last block that was taken apart, with its messages: a broadcast reaches many clients as the very same block.
    _last: tuple[bytes, list[dict[str, Any]]] = (b"", [])

    def __init__(self, runtime: Runtime, send: Any) -> None:
        self.link: WebSocketLink | None = None
        self._runtime = runtime
        self._send = send
        self._queue: deque[dict[str, Any]] = deque()
        self._queued = 0
        self._sending = False
        self._ended = False

    def write(self, block: bytes) -> None:
        """Send the messages of a block of whole frames; after the end there is nobody to send to."""
        if self._ended:
            return
        known, messages = AsgiSocket._last
        if known is not block:
            frames = split_frames(block)
            messages = [_message(opcode, payload) for opcode, payload in frames if opcode in (TEXT, BINARY)]
            AsgiSocket._last = (block, messages)
        self._queue.extend(messages)
        self._queued += len(block)
        self._start()

    def get_write_buffer_size(self) -> int:
        """Bytes that the server has not taken yet."""
        return self._queued

    def end(self, code: int | None, reason: str, tail: bytes) -> None:
        """Send what is left and close."""
        if self._ended:
            return
        if tail:
            self.write(tail)
        self._ended = True
        self._queue.append({"type": "websocket.close", "code": code or NORMAL_CLOSURE, "reason": reason})
        self._start()

    def gone(self) -> None:
        """The client has gone: nothing more is sent."""
        self._ended = True
        self._queue.clear()

    def _start(self) -> None:
        if self._sending:
            return
        self._sending = True
        running = self._runtime.starter.start(self._pump())
        if type(running) is Suspended:
            if self.link is not None:
                self.link.pause()
            self._runtime.later(running, self._pumped)
        else:
            self._sending = False
            self._queued = 0

    async def _pump(self) -> None:
        while self._queue:
            try:
                await self._send(self._queue.popleft())
            except (OSError, RuntimeError):  # the client has gone; its disconnect message tells the rest
                self.gone()

    def _pumped(self, result: Any, error: BaseException | None) -> None:
        self._sending = False
        self._queued = 0
        if error is not None:
            self.gone()
        elif self._queue:
            self._start()
        if self.link is not None and not self._sending:
            self.link.resume()


def _message(opcode: int, payload: bytes) -> dict[str, Any]:
    if opcode == TEXT:
        return {"type": "websocket.send", "text": payload.decode()}
    return {"type": "websocket.send", "bytes": payload}


async def handle_websocket(runtime: Runtime, request: Request, scope: Any, receive: Any, send: Any) -> None:
    """Serve one WebSocket until it ends."""
    engine = runtime.engine
    await receive()  # websocket.connect
    outcome = engine.admit(request, upgrade=True)
    refusal: Response | None = None
    if isinstance(outcome, Handshake):
        refusal = engine.busy(request, runtime.time())
    elif not isinstance(outcome, Upgrade | Surplus):
        refusal = runtime.refusals.answer(request, outcome)
    if refusal is not None:
        await _deny(refusal, scope, send)
        return
    await send({"type": "websocket.accept", "headers": list(engine.extra_headers(request))})
    socket = AsgiSocket(runtime, send)
    link = socket.link = WebSocketLink(engine, socket, socket, None)
    now = runtime.time()
    if isinstance(outcome, Handshake):
        session = link.session = engine.open(request, "websocket", socket, link, now)
        socket.write(text_frame(engine.open_packet(session)))
    elif isinstance(outcome, Upgrade):
        candidate_of: Any = outcome.session
        link.session = candidate_of
        runtime.do(engine.probe(candidate_of, link, now))
    else:
        socket.end(None, "", b"")
    try:
        await _read(runtime, link, receive)
    finally:
        socket.gone()
        runtime.do(link.lost())


async def _read(runtime: Runtime, link: WebSocketLink, receive: Any) -> None:
    """Feed the link until the client has gone."""
    counters, limit = runtime.counters, runtime.engine.settings.max_payload
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            return
        text = message.get("text")
        payload = message.get("bytes") if text is None else text.encode("utf-8", "surrogatepass")
        counters.packets_in += 1
        counters.bytes_in += len(payload)
        if runtime.engine.trace is not None and link.session is not None:
            runtime.engine.trace.received(link.session.sid, payload, text is None)
        if len(payload) > limit:
            work = link.fail(TOO_BIG, "message too big")
        else:
            runtime.engine.now = now = runtime.time()
            work = link.message(BINARY if text is None else TEXT, payload, now)
        waiting = runtime.must_wait(work, runtime.do(work))
        if waiting is not None:
            await asyncio.wait((waiting.task,))


async def _deny(refusal: Response, scope: Any, send: Any) -> None:
    """Refuse before accepting: with the status where the server can send one, else as it sees fit (403)."""
    if "websocket.http.response" in scope.get("extensions", {}):
        head = {"status": refusal.status, "headers": list(refusal.headers)}
        await send({"type": "websocket.http.response.start", **head})
        await send({"type": "websocket.http.response.body", "body": refusal.body})
    else:
        await send({"type": "websocket.close", "code": 1008})

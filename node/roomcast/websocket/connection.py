"""A whole server endpoint, after the handshake and without I/O: bytes in, events out, bytes to send.

For those who want WebSocket messages and nothing else. The seam is five lines: ``receive`` (or ``receive_eof``), handle
the events, write ``data_to_send()``, and close the transport once ``closed`` is true. Timers are the caller's:
``unfinished`` for a message that does not end, ``state`` for a client that does not answer a Close.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from roomcast.errors import RoomcastError
from roomcast.websocket import closecodes, frames
from roomcast.websocket.deflate import compress_unit, inflate


class Text(msgspec.Struct, frozen=True):
    """A text message; it was valid UTF-8."""

    data: str


class Binary(msgspec.Struct, frozen=True):
    """A binary message."""

    data: bytes


class Ping(msgspec.Struct, frozen=True):
    """The client asked for a sign of life; in the state OPEN the Pong is already among the bytes to send."""

    data: bytes


class Pong(msgspec.Struct, frozen=True):
    """The client's answer to a Ping, or an unsolicited one."""

    data: bytes


class Closed(msgspec.Struct, frozen=True):
    """Always the last event: the code and reason of the client's Close (1005 when it carried none), of what we found
    wrong with its input, or 1006 when the transport ended without a Close."""

    code: int
    reason: str


Event = Text | Binary | Ping | Pong | Closed


class State(Enum):
    """OPEN → CLOSING (our Close is sent, the client's awaited) → CLOSED."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Signal(Enum):
    """What moves the state: the four ways in which a connection comes to its end."""

    CLOSE_SENT = "close sent"
    CLOSE_RECEIVED = "close received"
    FAILED = "failed"
    EOF = "end of input"


# Missing = impossible, or an error of the caller (``NotOpen``). After CLOSED nothing is read any more.
TRANSITIONS = {
    (State.OPEN, Signal.CLOSE_SENT): State.CLOSING,
    (State.OPEN, Signal.CLOSE_RECEIVED): State.CLOSED,
    (State.OPEN, Signal.FAILED): State.CLOSED,
    (State.OPEN, Signal.EOF): State.CLOSED,
    (State.CLOSING, Signal.CLOSE_RECEIVED): State.CLOSED,
    (State.CLOSING, Signal.FAILED): State.CLOSED,
    (State.CLOSING, Signal.EOF): State.CLOSED,
}


class NotOpen(RoomcastError):
    """The caller sent something after a Close was sent or received: there is no place for it (section 5.5.1)."""

    def __init__(self, state: State) -> None:
        super().__init__(f"the connection is {state.value}")


class ServerConnection:
    """One connection. ``max_message`` (bytes) and ``max_fragments`` (frames) bound one message from the client.

    ``deflate`` is what the handshake agreed upon; then messages from ``compression_threshold`` bytes on are compressed.
    """

    def __init__(
        self, max_message: int, max_fragments: int, *, deflate: bool = False, compression_threshold: int = 1_024
    ) -> None:
        self._reader = frames.FrameReader(max_message, max_fragments, inflate if deflate else None)
        self._threshold = compression_threshold if deflate else None
        self._to_send: list[bytes] = []
        self.state = State.OPEN

    @property
    def closed(self) -> bool:
        """Whether the transport is to be closed, after the bytes to send are written."""
        return self.state is State.CLOSED

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and is not complete."""
        return self._reader.unfinished

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the transport; what they mean, in order. Never raises for what a client sent."""
        events: list[Event] = []
        if self.closed:
            return events
        for opcode, payload in self._reader.receive(data):
            event = _READERS[opcode](self, payload)
            events.append(event)
            if isinstance(event, Closed):
                return events
        if self._reader.failure is not None:
            events.append(self._fail(self._reader.failure))
        return events

    def receive_eof(self) -> list[Event]:
        """The transport has ended; empty when that was to be expected."""
        if self.closed:
            return []
        self._move(Signal.EOF)
        return [Closed(closecodes.ABNORMAL, "")]

    def data_to_send(self) -> bytes:
        """Everything that is to be written now, once."""
        data = b"".join(self._to_send)
        self._to_send.clear()
        return data

    def send_text(self, data: str) -> None:
        """Queue a text message. Raises NotOpen, and UnicodeEncodeError for lone surrogates."""
        self._send(frames.text_frame(data.encode()))

    def send_binary(self, data: bytes) -> None:
        """Queue a binary message. Raises NotOpen."""
        self._send(frames.binary_frame(data))

    def ping(self, data: bytes = b"") -> None:
        """Queue a Ping. Raises NotOpen, and ValueError for more than 125 bytes."""
        self._send(frames.ping_frame(data))

    def pong(self, data: bytes = b"") -> None:
        """Queue an unsolicited Pong; Pings are answered without it. Raises NotOpen and ValueError."""
        self._send(frames.pong_frame(data))

    def close(self, code: int | None = closecodes.NORMAL, reason: str = "") -> None:
        """Queue a Close; ``Closed`` comes with the answer. Raises NotOpen, and ValueError as ``close_frame`` does."""
        frame = frames.close_frame(code, reason)
        self._move(Signal.CLOSE_SENT)
        self._to_send.append(frame)

    def _send(self, frame: bytes) -> None:
        if self.state is not State.OPEN:
            raise NotOpen(self.state)
        self._to_send.append(frame if self._threshold is None else compress_unit(frame, self._threshold))

    def _move(self, signal: Signal) -> State:
        """Follow the table; the state before."""
        before = self.state
        after = TRANSITIONS.get((before, signal))
        if after is None:
            raise NotOpen(before)
        self.state = after
        return before

    def _fail(self, failure: closecodes.Failure) -> Closed:
        """Section 7.1.7: say why, once, and do not wait for an answer."""
        if self._move(Signal.FAILED) is State.OPEN:
            self._to_send.append(frames.close_frame(failure.code, failure.reason))
        return Closed(failure.code, failure.reason)

    def _read_text(self, payload: bytes) -> Event:
        try:
            return Text(payload.decode())
        except UnicodeDecodeError:
            return self._fail(closecodes.Failure(closecodes.INVALID_DATA, "text is not UTF-8"))

    def _read_binary(self, payload: bytes) -> Event:
        return Binary(payload)

    def _read_ping(self, payload: bytes) -> Event:
        if self.state is State.OPEN:
            self._to_send.append(frames.pong_frame(payload))
        return Ping(payload)

    def _read_pong(self, payload: bytes) -> Event:
        return Pong(payload)

    def _read_close(self, payload: bytes) -> Event:
        """Answer the client's Close with its own code (section 5.5.1), or end the handshake that we began."""
        parsed = closecodes.parse_close(payload)
        assert not isinstance(parsed, closecodes.Failure), "FrameReader hands out valid Close frames only"
        code, reason = parsed
        if self._move(Signal.CLOSE_RECEIVED) is State.OPEN:
            echo = code if code is None or closecodes.may_send(code) else closecodes.NORMAL
            self._to_send.append(frames.close_frame(echo))
        return Closed(closecodes.NO_STATUS if code is None else code, reason)


_READERS = {
    frames.TEXT: ServerConnection._read_text,
    frames.BINARY: ServerConnection._read_binary,
    frames.PING: ServerConnection._read_ping,
    frames.PONG: ServerConnection._read_pong,
    frames.CLOSE: ServerConnection._read_close,
}

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.websocket.closecodes import ABNORMAL, INVALID_DATA, NO_STATUS, NORMAL, PROTOCOL_ERROR, TOO_BIG
from roomcast.websocket.connection import (
    TRANSITIONS,
    Binary,
    Closed,
    Event,
    NotOpen,
    Ping,
    Pong,
    ServerConnection,
    Signal,
    State,
    Text,
)
from roomcast.websocket.deflate import deflate, inflate
from roomcast.websocket.frames import BINARY, CLOSE, PING, PONG, TEXT, split_frames
from tests.support.masked import masked_frame


def connection() -> ServerConnection:
    return ServerConnection(1_000, 10)


def sent(one: ServerConnection) -> list[tuple[int, bytes]]:
    return split_frames(one.data_to_send())


def closing() -> ServerConnection:
    """A connection that has sent its Close."""
    one = connection()
    one.close()
    one.data_to_send()
    return one


def closed() -> ServerConnection:
    one = connection()
    one.receive_eof()
    return one


MAKE: dict[State, Callable[[], ServerConnection]] = {
    State.OPEN: connection,
    State.CLOSING: closing,
    State.CLOSED: closed,
}

SIGNAL: dict[Signal, Callable[[ServerConnection], object]] = {
    Signal.CLOSE_SENT: lambda one: one.close(),
    Signal.CLOSE_RECEIVED: lambda one: one.receive(masked_frame(CLOSE)),
    Signal.FAILED: lambda one: one.receive(masked_frame(3)),
    Signal.EOF: lambda one: one.receive_eof(),
}


@pytest.mark.parametrize(("state", "signal"), TRANSITIONS)
def test_each_transition(state: State, signal: Signal) -> None:
    one = MAKE[state]()
    SIGNAL[signal](one)
    assert one.state is TRANSITIONS[state, signal]
    assert one.closed is (one.state is State.CLOSED)


@pytest.mark.parametrize(("state", "signal"), [pair for pair in product(State, Signal) if pair not in TRANSITIONS])
def test_each_missing_transition(state: State, signal: Signal) -> None:
    """What we do out of turn is our error; what the client does after the end is not even looked at."""
    one = MAKE[state]()
    if signal is Signal.CLOSE_SENT:
        with pytest.raises(NotOpen, match=state.value):
            one.close()
    else:
        assert SIGNAL[signal](one) == []
    assert one.state is state
    assert one.data_to_send() == b""


def test_messages_come_in() -> None:
    one = connection()
    data = masked_frame(TEXT, "héllo".encode()) + masked_frame(BINARY, b"\0\xff") + masked_frame(PONG, b"late")
    assert one.receive(data) == [Text("héllo"), Binary(b"\0\xff"), Pong(b"late")]
    assert one.data_to_send() == b""


def test_messages_go_out() -> None:
    one = connection()
    one.send_text("héllo")
    one.send_binary(b"\0\xff")
    one.ping(b"?")
    one.pong()
    assert sent(one) == [(TEXT, "héllo".encode()), (BINARY, b"\0\xff"), (PING, b"?"), (PONG, b"")]
    assert one.data_to_send() == b""


def test_bad_arguments_are_refused_and_nothing_is_sent() -> None:
    one = connection()
    with pytest.raises(UnicodeEncodeError):
        one.send_text("\ud800")
    with pytest.raises(ValueError, match="126"):
        one.ping(bytes(126))
    with pytest.raises(ValueError, match="1006"):
        one.close(1006)
    assert one.state is State.OPEN
    assert one.data_to_send() == b""


def test_pings_are_answered() -> None:
    one = connection()
    assert one.receive(masked_frame(PING, b"1") + masked_frame(PING, b"2")) == [Ping(b"1"), Ping(b"2")]
    assert sent(one) == [(PONG, b"1"), (PONG, b"2")]


def test_unfinished() -> None:
    one = connection()
    assert one.receive(masked_frame(TEXT, b"a", fin=False)) == []
    assert one.unfinished
    assert one.receive(masked_frame(0)) == [Text("a")]
    assert not one.unfinished


@pytest.mark.parametrize(
    ("payload", "event", "answer"),
    [
        (b"", Closed(NO_STATUS, ""), b""),
        (b"\x03\xe8", Closed(NORMAL, ""), b"\x03\xe8"),
        (b"\x0f\xa0bye", Closed(4000, "bye"), b"\x0f\xa0"),
        (b"\x03\xf2", Closed(1010, ""), b"\x03\xe8"),  # a server never sends 1010
    ],
)
def test_the_client_closes(payload: bytes, event: Closed, answer: bytes) -> None:
    one = connection()
    assert one.receive(masked_frame(TEXT, b"last") + masked_frame(CLOSE, payload)) == [Text("last"), event]
    assert sent(one) == [(CLOSE, answer)]
    assert one.closed
    assert one.receive(masked_frame(TEXT, b"after")) == []


def test_we_close() -> None:
    one = connection()
    one.close(1001, "restart")
    assert sent(one) == [(CLOSE, b"\x03\xe9restart")]
    assert not one.closed
    late = masked_frame(TEXT, b"late") + masked_frame(PING) + masked_frame(CLOSE, b"\x03\xe9")
    assert one.receive(late) == [Text("late"), Ping(b""), Closed(1001, "")]
    assert one.data_to_send() == b""
    assert one.closed


def test_a_close_without_a_code() -> None:
    one = connection()
    one.close(None)
    assert sent(one) == [(CLOSE, b"")]


@pytest.mark.parametrize("state", [State.CLOSING, State.CLOSED])
def test_nothing_is_sent_after_a_close(state: State) -> None:
    one = MAKE[state]()
    sends: list[Callable[[], None]] = [lambda: one.send_text(""), lambda: one.send_binary(b""), one.ping, one.pong]
    for send in sends:
        with pytest.raises(NotOpen, match=f"the connection is {state.value}"):
            send()
    assert one.data_to_send() == b""


def test_the_transport_ends() -> None:
    assert connection().receive_eof() == [Closed(ABNORMAL, "")]
    assert closing().receive_eof() == [Closed(ABNORMAL, "")]
    assert closed().receive_eof() == []


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (masked_frame(TEXT, b"\xff"), INVALID_DATA, "text is not UTF-8"),
        (masked_frame(TEXT, b"\xed\xa0\x80"), INVALID_DATA, "text is not UTF-8"),
        (masked_frame(3), PROTOCOL_ERROR, "unknown opcode"),
        (masked_frame(TEXT, bytes(1_001)), TOO_BIG, "message too big"),
    ],
)
def test_a_fault_is_told_once(data: bytes, code: int, reason: str) -> None:
    one = connection()
    events = one.receive(masked_frame(TEXT, b"kept") + data + masked_frame(TEXT, b"dropped"))
    assert events == [Text("kept"), Closed(code, reason)]
    assert sent(one) == [(CLOSE, code.to_bytes(2, "big") + reason.encode())]
    assert one.closed
    late = closing()
    assert late.receive(data) == [Closed(code, reason)]
    assert late.data_to_send() == b""


def test_a_fault_in_the_framing_after_one_in_the_text_is_not_told() -> None:
    one = connection()
    assert one.receive(masked_frame(TEXT, b"\xff") + masked_frame(3)) == [Closed(INVALID_DATA, "text is not UTF-8")]
    assert len(sent(one)) == 1


def test_compression() -> None:
    one = ServerConnection(1_000, 10, deflate=True, compression_threshold=5)
    one.send_text("1234")
    one.send_text("12345")
    one.ping(b"123456")
    data = one.data_to_send()
    short, long, ping = split_frames(data)
    assert (short, ping) == ((TEXT, b"1234"), (PING, b"123456"))
    assert inflate(long[1], 5) == b"12345"
    assert data[6] == 0xC1
    assert one.receive(masked_frame(BINARY, deflate(b"x" * 1_000), reserved=0x40)) == [Binary(b"x" * 1_000)]
    assert one.receive(masked_frame(BINARY, deflate(b"x" * 1_001), reserved=0x40)) == [
        Closed(TOO_BIG, "message too big")
    ]


FRAMES = st.lists(
    st.builds(
        masked_frame,
        st.sampled_from([0, TEXT, BINARY, PING, PONG, CLOSE]),
        st.sampled_from([b"", b"\x03\xe8", b"abc", b"\xff"]),
        fin=st.booleans(),
    ),
    max_size=8,
)


@given(frames=FRAMES, at=st.integers(0, 100))
def test_any_split_gives_the_same(frames: list[bytes], at: int) -> None:
    data = b"".join(frames)

    def outcome(*pieces: bytes) -> tuple[list[Event], bytes, State]:
        one = connection()
        events = [event for piece in pieces for event in one.receive(piece)]
        return events, one.data_to_send(), one.state

    assert outcome(data[:at], data[at:]) == outcome(data)
    assert outcome(*[bytes((byte,)) for byte in data]) == outcome(data)

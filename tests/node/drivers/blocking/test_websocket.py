"""WebSockets: opening, reading in steps, and every way to end."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.link import CLOSE_PATIENCE
from roomcast.drivers.blocking.calls import MAX_WAITING
from roomcast.drivers.blocking.websocket import WebSocketConnection
from roomcast.websocket.deflate import inflate
from roomcast.websocket.frames import BINARY, CLOSE, PING, TEXT, text_frame
from tests.support.masked import masked_frame
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedSocket, PlayedTasks


@pytest.fixture
def server(tasks: PlayedTasks) -> PlayedServer:
    played = PlayedServer(tasks)
    played.sio.on("echo", lambda sid, value: value)
    return played


# --- opening ----------------------------------------------------------------------------------------------------------


def test_the_handshake_is_answered_and_the_session_opened_in_one_write(server: PlayedServer) -> None:
    client = server.websocket()
    (packet,) = client.received()
    assert client.head.startswith(b"HTTP/1.1 101 ")
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in client.head
    assert str(packet).startswith('0{"sid":"')
    assert server.sio.counters.sessions["websocket"] == 1


def test_a_session_moves_from_polling(server: PlayedServer) -> None:
    poller = server.poller()
    poller.joins()
    assert poller.told["upgrades"] == []  # nobody can take the socket of a played request
    client = server.websocket(f"&sid={poller.sid}")
    client.sends("2probe")
    assert client.received() == ["3probe"]
    waiting = poller.polls()
    waiting.join()
    assert poller.answers[0].packets == ["6"]
    client.sends("5", '421["echo",1]')
    assert client.received() == ["431[1]"]
    assert server.sio.counters.upgrades == 1


def test_a_second_candidate_is_closed_and_changes_nothing(server: PlayedServer) -> None:
    poller = server.poller()
    first, second = (server.websocket(f"&sid={poller.sid}") for _ in range(2))
    server.tasks.others()
    second.received()
    assert second.closed_with == b""
    second.closes()
    server.tasks.others()
    assert second.has_ended()
    first.sends("2probe")
    assert first.received() == ["3probe"]


# --- reading and writing ----------------------------------------------------------------------------------------------


def test_frames_come_in_whatever_pieces(server: PlayedServer) -> None:
    client = server.joined()
    data = b"".join(masked_frame(TEXT, f'42{number}["echo",{number}]'.encode()) for number in range(5))
    for at in range(len(data)):
        client.writes(data[at : at + 1])
        server.tasks.others()
    assert client.received() == [f"43{number}[{number}]" for number in range(5)]


def test_binary_goes_both_ways(server: PlayedServer) -> None:
    client = server.joined()
    client.writes(
        masked_frame(TEXT, b'451-1["echo",{"_placeholder":true,"num":0}]') + masked_frame(BINARY, b"\x00\xff")
    )
    assert client.received() == ['461-1[{"_placeholder":true,"num":0}]', b"\x00\xff"]


def test_a_ping_of_the_client_is_answered(server: PlayedServer) -> None:
    client = server.joined()
    client.writes(masked_frame(PING, b"?"))
    server.tasks.others()
    assert bytes(client.sock.coming) == b"\x8a\x01?"


def test_a_client_that_reads_later_gets_everything_in_order(server: PlayedServer) -> None:
    client = server.joined(capacity=500)
    for number in range(100):
        server.sio.emit("news", number)
    got: list[Any] = []
    while more := client.received():
        got += more
    assert got == [f'42["news",{number}]' for number in range(100)]


def test_compressed_frames_both_ways(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, websocket_compression=True)
    server.sio.start()
    ours, theirs = PlayedSocket.pair()
    connection = WebSocketConnection(server.runtime, ours, deflate=True)  # type: ignore[arg-type]  # what is used of one
    block = text_frame(b"4" + b"x" * 5_000)
    with server.runtime.turn:
        connection.link.sink.write(block)
    assert len(theirs.coming) < 100
    assert theirs.coming[0] == 0xC1
    assert inflate(bytes(theirs.coming[2:]), 10_000) == b"4" + b"x" * 5_000
    assert connection.link.reader is not None
    assert connection.get_write_buffer_size() == 0


# --- who sends too fast -----------------------------------------------------------------------------------------------


def test_who_sends_faster_than_it_may_is_read_later(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, max_events_per_second=10)
    handled: list[int] = []
    server.sio.on("x", lambda sid, number: handled.append(number))
    client = server.joined()
    client.sends(*[f'42["x",{number}]' for number in range(30)])
    tasks.others()
    soon = len(handled)
    assert 10 <= soon < 30
    assert not client.is_read()
    tasks.advance(0.5)
    assert soon < len(handled) < 30
    tasks.advance(10.0)
    assert handled == list(range(30))
    assert client.is_read()


def test_who_goes_while_it_is_read_later_leaves_nothing(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, max_events_per_second=10)
    server.sio.on("x", lambda sid, number: None)
    client = server.joined()
    client.sends(*[f'42["x",{number}]' for number in range(30)])
    tasks.others()
    server.sio.disconnect(client.sid, close=True)
    tasks.advance(CLOSE_PATIENCE + 0.1)
    assert client.has_ended()
    tasks.advance(5.0)
    assert not server.left()


def test_the_rest_of_what_was_read_is_handled_before_anything_newer(server: PlayedServer) -> None:
    gate = server.tasks.concurrency.make_event()
    handled: list[int] = []

    @server.sio.on("wait")
    def wait(sid: str, number: int) -> None:
        gate.wait()
        handled.append(number)

    client = server.joined()
    client.sends(*[f'42["wait",{number}]' for number in range(2 * MAX_WAITING)])
    server.tasks.others()
    client.sends(f'42["wait",{2 * MAX_WAITING}]')
    gate.set()
    server.tasks.others()
    assert handled == list(range(2 * MAX_WAITING + 1))


def test_what_is_left_of_a_client_that_was_cut_asks_for_nothing(server: PlayedServer) -> None:
    """It is behind in the middle of what was read, and its connection ends before it has caught up."""
    gate = server.tasks.concurrency.make_event()
    server.sio.on("wait", lambda sid, number: gate.wait())
    client = server.joined()
    half = masked_frame(TEXT, b'42["wait",0]')[:5]
    client.writes(masked_frame(TEXT, b'42["wait",0]') * (MAX_WAITING + 5) + half)
    server.tasks.others()
    with server.runtime.turn:
        client.connection.cut()
    gate.set()
    server.tasks.others()
    assert not server.left()


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def reasons(server: PlayedServer) -> list[str]:
    found: list[str] = []
    server.sio.on("disconnect", lambda sid, reason: found.append(reason))
    return found


def test_the_client_closes(server: PlayedServer, reasons: list[str]) -> None:
    client = server.joined()
    client.closes()
    assert client.received() == []
    assert client.closed_with == b""
    assert client.has_ended()
    assert reasons == ["transport close"]
    assert not server.left()


def test_the_client_vanishes(server: PlayedServer, reasons: list[str]) -> None:
    server.joined().vanishes()
    server.tasks.others()
    assert reasons == ["transport close"]
    assert not server.left()


def test_the_server_closes_and_the_client_answers(server: PlayedServer, reasons: list[str]) -> None:
    client = server.joined()
    server.sio.disconnect(client.sid, close=True)
    assert client.received() == ["41"]
    assert client.closed_with is not None
    assert not client.has_ended()
    client.closes()
    server.tasks.others()
    assert client.has_ended()
    assert reasons == ["server disconnect"]
    assert not server.left()


def test_the_server_closes_and_the_client_does_not_answer(server: PlayedServer) -> None:
    client = server.joined()
    server.sio.disconnect(client.sid, close=True)
    server.tasks.advance(0.9 * CLOSE_PATIENCE)
    assert not client.has_ended()
    assert server.sio.census()["closing"] == 1
    server.tasks.advance(0.2 * CLOSE_PATIENCE)
    client.received()
    assert client.has_ended()
    assert server.runtime.unread == 1
    assert not server.left()


def test_what_a_client_sends_after_the_close_frame_is_ignored(server: PlayedServer) -> None:
    handled: list[int] = []
    server.sio.on("x", lambda sid: handled.append(1))
    client = server.joined()
    server.sio.disconnect(client.sid, close=True)
    client.sends('42["x"]')
    client.closes()
    server.tasks.others()
    client.received()
    assert client.has_ended()
    assert not handled


def test_a_client_that_breaks_the_protocol_is_told_how(server: PlayedServer, reasons: list[str]) -> None:
    client = server.joined()
    client.writes(b"\x81\x01x")  # not masked
    client.received()
    assert client.closed_with is not None
    assert client.closed_with[:2] == (1002).to_bytes(2, "big")
    assert reasons == ["transport error"]


def test_a_client_that_closes_and_reads_nothing_more_is_cut_off_in_the_end(server: PlayedServer) -> None:
    client = server.joined(capacity=400)
    server.sio.emit("news", "x" * 2_000)
    client.closes()
    server.tasks.others()
    assert server.sio.census()["connections"] == 1
    server.tasks.advance(server.sio.settings.ping_timeout + 0.1)
    assert not server.left()


def test_closing_takes_what_was_still_to_be_written(server: PlayedServer) -> None:
    client = server.joined(capacity=300)
    for number in range(10):
        server.sio.emit("news", number)
    server.sio.disconnect(client.sid, close=True)
    got: list[Any] = []
    while more := client.received():
        got += more
    assert got == [*[f'42["news",{number}]' for number in range(10)], "41"]
    assert client.closed_with is not None


def test_control_frames_while_closing(server: PlayedServer) -> None:
    client = server.joined()
    server.sio.disconnect(client.sid, close=True)
    client.writes(masked_frame(PING, b"?") + masked_frame(CLOSE, (1000).to_bytes(2, "big")))
    server.tasks.others()
    client.received()
    assert client.has_ended()

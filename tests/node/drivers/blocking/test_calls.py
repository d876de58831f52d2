"""Application code as tasks run it: where, in which order, and what becomes of what it returns and raises."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest

from roomcast.core.work import Notify, Report, Several
from roomcast.drivers.blocking.calls import MAX_WAITING, attempt
from roomcast.exceptions import ConnectionRefusedError as Refused
from roomcast.exceptions import DisconnectedError
from tests.support.played_server import PlayedServer, PlayedWebSocket
from tests.support.played_tasks import PlayedTasks


class Gate:
    """Handlers that wait until it opens."""

    def __init__(self, server: PlayedServer) -> None:
        self._tasks = server.tasks
        self._event = server.tasks.concurrency.make_event()

    def wait(self, *_: Any) -> None:
        self._event.wait()

    def open(self) -> None:
        self._event.set()
        self._tasks.others()


# --- events -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("result", "ack"),
    [
        (None, "431[]"),
        ((), "431[]"),
        ((1, "a"), '431[1,"a"]'),
        ([1, 2], "431[[1,2]]"),
        (False, "431[false]"),
        ({"a": None}, '431[{"a":null}]'),
    ],
)
def test_what_a_handler_returns_is_the_acknowledgement(server: PlayedServer, result: Any, ack: str) -> None:
    server.sio.on("ask", lambda sid: result)
    client = server.joined()
    client.sends('421["ask"]')
    assert client.received() == [ack]


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(), KeyboardInterrupt(), GeneratorExit()])
def test_what_a_handler_raises_ends_nothing_but_itself(
    server: PlayedServer, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    @server.sio.on("fail")
    def fail(sid: str) -> None:
        raise error

    server.sio.on("echo", lambda sid, value: value)
    client = server.joined()
    client.sends('421["fail"]', '422["echo",5]')
    assert client.received() == ["432[5]"]
    assert server.sio.counters.handler_errors["event"] == 1
    assert f"the handler of an event in '/' raised {type(error).__name__}" in caplog.text
    assert not server.sio.census()["handlers"]


def test_a_value_that_cannot_be_encoded_is_an_error_of_the_handler(server: PlayedServer) -> None:
    server.sio.on("ask", lambda sid: object())
    client = server.joined()
    client.sends('421["ask"]')
    assert client.received() == []
    assert server.sio.counters.handler_errors["event"] == 1


def test_a_coroutine_function_cannot_be_a_handler_here(server: PlayedServer, caplog: pytest.LogCaptureFixture) -> None:
    @server.sio.on("ask")
    async def ask(sid: str) -> int:
        return 1

    client = server.joined()
    client.sends('421["ask"]')
    assert client.received() == []
    assert "it needs AsyncServer" in caplog.text


def test_a_handler_that_waits_delays_nobody(server: PlayedServer) -> None:
    gate = Gate(server)
    server.sio.on("wait", gate.wait)
    server.sio.on("echo", lambda sid, value: value)
    waiting, other = server.joined(), server.joined()
    waiting.sends('421["wait"]', '422["echo",1]')
    other.sends('421["echo",2]')
    assert waiting.received() == ["432[1]"]
    assert other.received() == ["431[2]"]
    gate.open()
    assert waiting.received() == ["431[]"]


def test_handlers_begin_in_the_order_of_their_events(server: PlayedServer) -> None:
    begun: list[int] = []
    server.sio.on("x", lambda sid, number: begun.append(number))
    client = server.joined()
    client.sends(*[f'42["x",{number}]' for number in range(50)])
    server.tasks.others()
    assert begun == list(range(50))


def test_in_order_a_client_waits_for_its_own_handlers_and_for_no_others(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, async_handlers=False)
    gate = Gate(server)
    ended: list[Any] = []

    @server.sio.on("x")
    def x(sid: str, value: Any) -> None:
        if value == "slow":
            gate.wait()
        ended.append(value)

    server.sio.on("disconnect", lambda sid, reason: ended.append(reason))
    slow, other = server.joined(), server.joined()
    slow.sends('42["x","slow"]', '42["x","after"]')
    other.sends('42["x","other"]')
    tasks.others()
    assert ended == ["other"]
    slow.vanishes()
    tasks.others()
    assert ended == ["other"]
    gate.open()
    assert ended == ["other", "slow", "after", "transport close"]


def test_the_disconnect_handler_begins_after_all_event_handlers_have_begun(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, handler_threads=2)
    begun: list[Any] = []
    server.sio.on("x", lambda sid, number: begun.append(number))
    server.sio.on("disconnect", lambda sid, reason: begun.append(reason))
    client = server.joined()
    client.sends(*[f'42["x",{number}]' for number in range(20)], "1")
    tasks.others()
    assert begun == [*range(20), "client disconnect"]


def test_no_more_handlers_run_at_once_than_may(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, handler_threads=3)
    gate = Gate(server)
    running: list[int] = []

    @server.sio.on("wait")
    def wait(sid: str, number: int) -> None:
        running.append(number)
        gate.wait()

    clients = [server.joined() for _ in range(5)]
    for number, client in enumerate(clients):
        client.sends(f'42["wait",{number}]')
    tasks.others()
    assert running == [0, 1, 2]
    gate.open()
    assert running == [0, 1, 2, 3, 4]


def test_handlers_leave_nothing_in_the_context_of_their_task(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, handler_threads=1)
    variable = ContextVar("variable", default="unset")
    found: list[str] = []

    @server.sio.on("x")
    def x(sid: str) -> None:
        found.append(variable.get())
        variable.set("set")

    client = server.joined()
    client.sends('42["x"]', '42["x"]')
    tasks.others()
    assert found == ["unset", "unset"]


def test_handlers_may_call_everything(server: PlayedServer) -> None:
    sio = server.sio

    @sio.on("everything")
    def everything(sid: str) -> Any:
        sio.enter_room(sid, "room")
        sio.emit("hello", to="room")
        with sio.session(sid) as session:
            session["name"] = "Ann"
        answer = sio.call("question", "?", to=sid)
        sio.leave_room(sid, "room")
        return [answer, sio.get_session(sid), sio.rooms(sid) == [sid], sio.transport(sid)]

    client = server.joined()
    client.sends('421["everything"]')
    assert client.received() == ['42["hello"]', '420["question","?"]']
    client.sends('430["!"]')
    assert client.received() == ['431[["!",{"name":"Ann"},true,"websocket"]]']


# --- who sends faster than it is served -------------------------------------------------------------------------------


def flood(client: PlayedWebSocket, number: int, event: str = "wait") -> None:
    client.sends(*[f'42["{event}",{each}]' for each in range(number)])


def test_nothing_more_is_read_from_a_client_that_is_behind(server: PlayedServer) -> None:
    gate = Gate(server)
    handled: list[int] = []

    @server.sio.on("wait")
    def wait(sid: str, number: int) -> None:
        gate.wait()
        handled.append(number)

    server.sio.on("echo", lambda sid, value: value)
    client, other = server.joined(), server.joined()
    flood(client, 2 * MAX_WAITING)
    server.tasks.others()
    assert server.runtime.pool.running == MAX_WAITING
    assert not client.is_read()
    flood(client, 10)
    server.tasks.others()
    assert server.runtime.pool.running == MAX_WAITING
    other.sends('421["echo",1]')
    gate.open()
    assert sorted(handled) == sorted([*range(2 * MAX_WAITING), *range(10)])
    assert client.is_read()
    assert other.received() == ["431[1]"]
    assert not server.left().keys() & {"waiting", "behind", "handlers"}


def test_a_client_that_goes_while_it_is_behind_leaves_nothing(server: PlayedServer) -> None:
    gate = Gate(server)
    server.sio.on("wait", gate.wait)
    client = server.joined()
    flood(client, 3 * MAX_WAITING)
    server.tasks.others()
    server.sio.disconnect(client.sid, close=True)
    server.tasks.others()
    assert client.is_read()  # for its close frame
    client.vanishes()
    server.tasks.others()
    assert server.runtime.pool.running == MAX_WAITING
    gate.open()
    assert not server.left()


# --- connecting and leaving -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "answer"),
    [
        (lambda: None, "40{"),
        (lambda: 0, "40{"),
        (lambda: False, '44{"message":"Connection rejected by server"}'),
        (Refused("no", 5), '44{"message":"no","data":5}'),
        (ConnectionRefusedError(), '44{"message":"Connection refused by server"}'),
        (ValueError(), '44{"message":"Internal server error"}'),
    ],
    ids=["None", "0", "False", "refused", "builtin", "error"],
)
def test_what_a_connect_handler_decides(server: PlayedServer, outcome: Any, answer: str) -> None:
    @server.sio.on("connect")
    def connect(sid: str, environ: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome()

    client = server.websocket()
    client.sends("40")
    assert str(client.received()[-1]).startswith(answer)
    assert server.sio.counters.handler_errors["connect"] == isinstance(outcome, ValueError)


def test_a_client_that_goes_while_its_connect_handler_runs_is_seen_off(server: PlayedServer) -> None:
    gate = Gate(server)
    reasons: list[str] = []
    server.sio.on("connect", gate.wait)
    server.sio.on("disconnect", lambda sid, reason: reasons.append(reason))
    client = server.websocket()
    client.sends("40")
    server.tasks.others()
    client.vanishes()
    server.tasks.others()
    assert reasons == []
    gate.open()
    assert reasons == ["transport close"]
    assert not server.left()


def test_events_wait_for_the_connect_handler(server: PlayedServer) -> None:
    gate = Gate(server)
    server.sio.on("connect", gate.wait)
    server.sio.on("echo", lambda sid, value: value)
    client = server.websocket()
    client.sends("40", '421["echo",1]', '422["echo",2]')
    assert [str(packet)[0] for packet in client.received()] == ["0"]
    gate.open()
    connected, *acks = client.received()
    assert str(connected).startswith("40{")
    assert sorted(map(str, acks)) == ["431[1]", "432[2]"]


def test_a_disconnect_handler_that_raises_is_told_of_and_stops_nothing(
    server: PlayedServer, caplog: pytest.LogCaptureFixture
) -> None:
    @server.sio.on("disconnect")
    def disconnect(sid: str, reason: str) -> None:
        raise ValueError

    server.joined().vanishes()
    server.tasks.others()
    assert server.sio.counters.handler_errors["disconnect"] == 1
    assert "the disconnect handler of '/' raised ValueError" in caplog.text
    assert not server.left()


# --- callbacks and questions ------------------------------------------------------------------------------------------


def test_callbacks_run_as_tasks_and_may_ask_themselves(server: PlayedServer) -> None:
    got: list[Any] = []
    client = server.joined()

    def callback(*args: Any) -> None:
        got.append(args)
        got.append(server.sio.call("second", to=client.sid))

    server.sio.emit("first", to=client.sid, callback=callback)
    assert client.received() == ['420["first"]']
    client.sends('430[1,"a"]')
    assert client.received() == ['421["second"]']
    client.sends("431[]")
    server.tasks.others()
    assert got == [(1, "a"), None]


def test_a_callback_that_raises_is_told_of(server: PlayedServer, caplog: pytest.LogCaptureFixture) -> None:
    client = server.joined()
    server.sio.emit("first", to=client.sid, callback=lambda: 1 / 0)
    client.received()
    client.sends("430[]")
    server.tasks.others()
    assert server.sio.counters.handler_errors["callback"] == 1
    assert "a callback raised ZeroDivisionError" in caplog.text


def test_callbacks_are_not_called_for_clients_that_go(server: PlayedServer) -> None:
    called: list[Any] = []
    client = server.joined()
    server.sio.emit("first", to=client.sid, callback=lambda *args: called.append(args))
    client.received()
    client.vanishes()
    server.tasks.others()
    assert not called
    assert not server.left()


def test_who_asks_a_client_that_goes_is_told_at_once(server: PlayedServer) -> None:
    client = server.joined()
    outcome: list[BaseException] = []

    def ask() -> None:
        with pytest.raises(DisconnectedError) as caught:
            server.sio.call("question", to=client.sid)
        outcome.append(caught.value)

    server.tasks.start(ask)
    client.received()
    client.vanishes()
    server.tasks.others()
    assert len(outcome) == 1
    assert server.tasks.now == 1_000


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_several_things_to_do_are_all_done(server: PlayedServer) -> None:
    done: list[int] = []
    note: Callable[[int], None] = done.append
    with server.runtime.turn:
        server.runtime.do(Several((Notify(note, (1,)), Notify(note, (2,)))))
    server.tasks.others()
    assert done == [1, 2]


def test_what_is_rare_about_the_cluster_is_written_down(server: PlayedServer, caplog: pytest.LogCaptureFixture) -> None:
    with server.runtime.turn:
        server.runtime.do(Report("error", "something rare"))
    assert [(each.name, each.levelname, each.getMessage()) for each in caplog.records] == [
        ("roomcast.cluster", "ERROR", "something rare")
    ]


def test_attempt() -> None:
    assert attempt(lambda a, b: a + b, (1, 2)) == (3, None)
    result, error = attempt(lambda: ["x"][1], ())
    assert result is None
    assert isinstance(error, IndexError)

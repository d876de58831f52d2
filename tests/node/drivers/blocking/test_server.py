"""``Server``: what both servers have in common, and what is the blocking one's own."""

from __future__ import annotations

import asyncio
import inspect
import json
import queue
from collections.abc import Iterator
from typing import Any

import pytest

import roomcast
from roomcast.core.bare import BareServer, EngineView
from roomcast.core.contract import Emitting, Managing, Serving
from roomcast.drivers.asyncio.engine_server import EngineFacade as AsyncFacade
from roomcast.drivers.asyncio.engine_server import EngineServer as AsyncEngineServer
from roomcast.drivers.asyncio.namespace import AsyncNamespace
from roomcast.drivers.asyncio.server import AsyncServer
from roomcast.drivers.blocking.engine_server import EngineFacade, EngineServer
from roomcast.drivers.blocking.manager import Manager
from roomcast.drivers.blocking.namespace import Namespace
from roomcast.drivers.blocking.server import Server
from roomcast.drivers.blocking.threads import THREADS
from roomcast.exceptions import DisconnectedError
from roomcast.exceptions import TimeoutError as CallTimeoutError
from tests.support.patience import PATIENCE
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks

# Seconds of played time.
HALF_A_SECOND = 0.5
A_SECOND_AND_A_HALF = 1.5

TWINS = [
    (AsyncServer, Server),
    (AsyncNamespace, Namespace),
    (roomcast.AsyncManager, Manager),
    (AsyncEngineServer, EngineServer),
    (AsyncFacade, EngineFacade),
]
# What only one has, each for a reason of its kind.
ALONE = {"attach", "mounted", "emit_now", "make_answer", "handle_request", "async_mode"}


def public(cls: type) -> Iterator[str]:
    return (name for name in dir(cls) if not name.startswith("_"))


# --- both servers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_both_have_the_same_names(one: type, other: type) -> None:
    assert set(public(one)) ^ set(public(other)) <= ALONE


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_methods_of_one_name_take_the_same_arguments(one: type, other: type) -> None:
    for name in set(public(one)) & set(public(other)) - {"handle_request", "start_background_task", "session"}:
        if callable(getattr(one, name)) and not isinstance(getattr(one, name), type):
            signatures = [inspect.signature(getattr(cls, name)) for cls in (one, other)]
            parameters = [
                [(each.name, each.kind, each.default) for each in signature.parameters.values()]
                for signature in signatures
            ]
            assert parameters[0] == parameters[1], name


@pytest.mark.parametrize("cls", [cls for twins in TWINS for cls in twins])
def test_every_public_method_says_what_it_does(cls: type) -> None:
    assert not [name for name in public(cls) if callable(getattr(cls, name)) and not inspect.getdoc(getattr(cls, name))]


@pytest.mark.parametrize("contract", [Emitting, Serving, Managing, BareServer, EngineView])
def test_what_both_have_is_described_once(contract: type) -> None:
    shared = {name for name, value in vars(contract).items() if inspect.isfunction(value) and not name.startswith("_")}
    for cls in (cls for twins in TWINS for cls in twins if issubclass(cls, contract)):
        written = [name for name in shared & set(vars(cls)) if vars(cls)[name].__doc__]
        assert not written, f"{cls.__name__} describes {written} again"


def test_the_positional_arguments_are_the_incumbents() -> None:
    options = list(inspect.signature(Server).parameters)[:7]
    assert options == [
        "client_manager",
        "logger",
        "serializer",
        "json",
        "async_handlers",
        "always_connect",
        "namespaces",
    ]


def test_a_blocking_server_has_no_coroutines() -> None:
    assert not [name for name in public(Server) if asyncio.iscoroutinefunction(getattr(Server, name))]


# --- options ----------------------------------------------------------------------------------------------------------


def test_unknown_options_warn_where_they_were_given() -> None:
    with pytest.warns(UserWarning, match="'no_such_option'") as caught:
        Server(no_such_option=1)
    assert caught[0].filename == __file__


def test_options_of_old(tasks: PlayedTasks) -> None:
    class Shouting:
        """A json module of the application."""

        @staticmethod
        def dumps(value: Any, **_: Any) -> str:
            return json.dumps(value, separators=(",", ":")).replace("hello", "HELLO")

        loads = staticmethod(json.loads)

    played = PlayedServer(tasks, json=Shouting, cookie="io", monitor_clients=True, engineio_logger=False)
    assert played.poller().opened.headers["set-cookie"].startswith("io=")
    client = played.joined()
    played.sio.emit("e", "hello")
    assert client.received() == ['42["e","HELLO"]']


def test_messagepack(tasks: PlayedTasks) -> None:
    assert PlayedServer(tasks, serializer="msgpack").sio.node.codec.binary


def test_always_connect(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, always_connect=True)
    server.sio.on("connect", lambda sid, environ: False)
    client = server.websocket()
    client.sends("40")
    assert [str(packet)[:2] for packet in client.received()] == ["0{", "40", "41"]


# --- emitting and asking ----------------------------------------------------------------------------------------------


def test_emit_reaches_whom_it_should(server: PlayedServer) -> None:
    one, other = server.joined(), server.joined()
    sio = server.sio
    sio.enter_room(one.sid, "room")
    sio.emit("all")
    sio.emit("room", to="room")
    sio.emit("union", to=["room", other.sid])
    sio.emit("but", skip_sid=one.sid)
    sio.emit("alias", room=other.sid)
    sio.emit("nobody", to=[])
    sio.send("text", to=one.sid)
    sio.emit("volatile", volatile=True)
    names = [[str(packet) for packet in client.received()] for client in (one, other)]
    assert names == [
        ['42["all"]', '42["room"]', '42["union"]', '42["message","text"]', '42["volatile"]'],
        ['42["all"]', '42["union"]', '42["but"]', '42["alias"]', '42["volatile"]'],
    ]


def test_emit_says_what_cannot_be_sent(server: PlayedServer) -> None:
    with pytest.raises(TypeError):
        server.sio.emit("e", object())
    with pytest.raises(ValueError, match="reserved"):
        server.sio.emit("connect")


@pytest.mark.parametrize(
    ("ack", "value"), [("430[]", None), ('430["one"]', "one"), ('430[1,"two"]', (1, "two"))], ids=["none", "one", "two"]
)
def test_call_returns_the_answer(server: PlayedServer, ack: str, value: Any) -> None:
    client = server.joined()
    got: list[Any] = []
    server.tasks.start(lambda: got.append(server.sio.call("question", 5, to=client.sid)))
    assert client.received() == ['420["question",5]']
    client.sends(ack)
    server.tasks.others()
    assert got == [value]
    assert not server.left().keys() & {"acks", "deadlines"}


def test_call_ends_in_time(server: PlayedServer) -> None:
    client = server.joined()
    began = server.tasks.now
    with pytest.raises(CallTimeoutError):
        server.sio.call("question", sid=client.sid, timeout=5)
    assert server.tasks.now - began == pytest.approx(5)
    assert server.sio.census()["acks"] == 0


def test_call_to_nobody_ends_at_once(server: PlayedServer) -> None:
    with pytest.raises(DisconnectedError):
        server.sio.call("question", to="nobody", timeout=None)


def test_what_call_cannot_do(tasks: PlayedTasks) -> None:
    with pytest.raises(ValueError, match="broadcast"):
        PlayedServer(tasks).sio.call("question")
    with pytest.raises(RuntimeError, match="async_handlers"):
        PlayedServer(tasks, async_handlers=False).sio.call("question", to="x")


def test_a_wait_that_is_broken_off_leaves_nothing(server: PlayedServer) -> None:
    client = server.joined()

    class Impatient(BaseException):
        """As gevent's time-outs."""

    class Event:
        def wait(self, timeout: float | None = None) -> bool:
            raise Impatient

        def is_set(self) -> bool:
            return False

        def set(self) -> None:
            """Nobody waits."""

    answer = server.sio.make_answer()
    answer._event = Event()  # type: ignore[assignment]  # as above
    server.sio.make_answer = lambda: answer  # type: ignore[method-assign]  # what call() waits for
    with pytest.raises(Impatient):
        server.sio.call("question", to=client.sid)
    assert server.sio.census()["acks"] == 0


# --- sessions and leaving ---------------------------------------------------------------------------------------------


def test_sessions(server: PlayedServer) -> None:
    sid, sio = server.joined().sid, server.sio
    with sio.session(sid) as session:
        session["name"] = "Ann"
    assert sio.get_session(sid) == {"name": "Ann"}
    assert sio.get_session(sid) is sio.get_session(sid)

    def fails() -> None:
        with sio.session(sid) as session:
            session["failed"] = True
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    assert sio.get_session(sid)["failed"]
    sio.save_session(sid, {"new": 1})
    assert sio.get_session(sid) == {"new": 1}
    with pytest.raises(KeyError), sio.session("stranger"):
        raise AssertionError("never")


def test_disconnect_returns_when_the_disconnect_handler_has_ended(server: PlayedServer) -> None:
    log: list[str] = []

    @server.sio.event
    def disconnect(sid: str, reason: str) -> None:
        server.sio.sleep(HALF_A_SECOND)
        log.append(reason)

    client = server.joined()
    server.sio.disconnect(client.sid)
    assert log == ["server disconnect"]
    server.sio.disconnect(client.sid)
    server.sio.disconnect("nobody")
    assert log == ["server disconnect"]
    client.joins()
    server.sio.disconnect(client.sid, close=True)
    assert len(log) == 2


def test_in_order_the_disconnect_handler_waits_for_its_turn(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks, async_handlers=False)
    log: list[str] = []

    @server.sio.on("leave")
    def leave(sid: str) -> None:
        server.sio.disconnect(sid)
        log.append("left")

    server.sio.on("disconnect", lambda sid, reason: log.append(reason))
    server.joined().sends('42["leave"]')
    tasks.others()
    assert log == ["left", "server disconnect"]


def test_disconnecting_in_the_connect_handler_is_a_refusal(server: PlayedServer) -> None:
    server.sio.on("connect", lambda sid, environ: server.sio.disconnect(sid))
    client = server.websocket()
    client.sends("40")
    assert client.received()[-1] == '44{"message":"Connection rejected by server"}'
    assert not server.left().keys() & {"sockets"}


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_background_tasks(server: PlayedServer) -> None:
    done: list[Any] = []

    def task(first: int, *, second: int) -> None:
        server.sio.sleep(A_SECOND_AND_A_HALF)
        done.append((first, second))

    server.sio.start_background_task(task, 1, second=2).join()
    assert done == [(1, 2)]
    assert server.tasks.now == 1_001.5


def test_eio(server: PlayedServer) -> None:
    eio = server.sio.eio
    poller = server.poller()
    assert list(eio.sockets) == [poller.sid]
    assert eio.transport(poller.sid) == "polling"
    assert len(eio.generate_id()) == 20
    eio.disconnect("nobody")
    eio.disconnect(poller.sid)
    assert poller.reads() == ["6", "1"]
    server.poller()
    server.poller()
    eio.disconnect()
    server.tasks.advance(server.sio.settings.closing_timeout + 1)
    assert not eio.sockets
    assert eio.async_mode == "played"


def test_events_and_queues_of_this_mode() -> None:
    eio = Server().eio
    event = eio.create_event()
    event.set()
    assert event.wait(PATIENCE)
    waiting = eio.create_queue(maxsize=1)
    waiting.put(1)
    assert waiting.get() == 1
    with pytest.raises(queue.Empty):
        waiting.get_nowait()
    assert eio.get_queue_empty_exception() is queue.Empty


def test_what_is_not_there_yet_says_so() -> None:
    with pytest.raises(NotImplementedError):
        Server().instrument()


def test_from_any_thread() -> None:
    """What tests on played tasks cannot show: real threads, all at once."""
    sio = Server(drain_seconds=0)

    def emitting(number: int) -> None:
        for _ in range(50):
            sio.emit("e", number)

    threads = [THREADS.start(emitting, number) for number in range(8)]
    for thread in threads:
        thread.join(PATIENCE)
    sio.start()
    sio.shutdown()
    assert not any(sio.census().values())

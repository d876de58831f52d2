"""Names, signatures and paths that existing programs import."""

from __future__ import annotations

import importlib
import inspect
import json
from typing import Any

import pytest

import roomcast

differs = pytest.mark.differs
exceptions = roomcast.exceptions

TOP = [
    "Server",
    "AsyncServer",
    "Namespace",
    "AsyncNamespace",
    "WSGIApp",
    "Middleware",
    "ASGIApp",
    "Manager",
    "AsyncManager",
    "AsyncRedisManager",
    "AsyncAioPikaManager",
    "RedisManager",
    "KombuManager",
    "KafkaManager",
    "ZmqManager",
    "get_tornado_handler",
    "exceptions",
]
LATER = ["PubSubManager"]

MODULES = {
    "exceptions": ["SocketIOError", "ConnectionError", "ConnectionRefusedError", "TimeoutError", "BadNamespaceError"],
    "packet": ["Packet", "CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"],
    "msgpack_packet": ["MsgPackPacket"],
    "async_manager": ["AsyncManager"],
    "async_redis_manager": ["AsyncRedisManager"],
    "async_aiopika_manager": ["AsyncAioPikaManager"],
    "redis_manager": ["RedisManager"],
    "kombu_manager": ["KombuManager"],
    "kafka_manager": ["KafkaManager"],
    "zmq_manager": ["ZmqManager"],
    "async_namespace": ["AsyncNamespace"],
    "asgi": ["ASGIApp"],
    "tornado": ["get_tornado_handler"],
}


@pytest.mark.parametrize("name", TOP)
def test_top_level_names(name: str) -> None:
    assert hasattr(roomcast, name)


@differs
@pytest.mark.parametrize("name", LATER)
def test_names_that_are_not_there_yet_say_so(name: str) -> None:
    with pytest.raises(AttributeError, match=f"{name}.*yet"):
        getattr(roomcast, name)


@differs
def test_all_names_what_there_is() -> None:
    assert {"AsyncServer", "AsyncNamespace", "ASGIApp", "exceptions"} <= set(roomcast.__all__)
    for name in roomcast.__all__:
        assert hasattr(roomcast, name), name
    assert len(set(roomcast.__all__)) == len(roomcast.__all__)


@pytest.mark.parametrize("module", MODULES)
def test_sub_modules_under_the_paths_users_know(module: str) -> None:
    imported = importlib.import_module(f"roomcast.{module}")
    for name in MODULES[module]:
        assert hasattr(imported, name), name


def test_packet_numbers() -> None:
    packet = importlib.import_module("roomcast.packet")
    assert [getattr(packet, name) for name in MODULES["packet"][1:]] == list(range(7))


def test_there_is_one_of_each() -> None:
    assert importlib.import_module("roomcast.asgi").ASGIApp is roomcast.ASGIApp
    assert importlib.import_module("roomcast.async_manager").AsyncManager is roomcast.AsyncManager
    assert importlib.import_module("roomcast.async_namespace").AsyncNamespace is roomcast.AsyncNamespace
    assert importlib.import_module("roomcast.exceptions") is roomcast.exceptions


@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("SocketIOError", Exception),
        ("ConnectionError", exceptions.SocketIOError),
        ("ConnectionRefusedError", exceptions.ConnectionError),
        ("TimeoutError", exceptions.SocketIOError),
        ("BadNamespaceError", exceptions.SocketIOError),
        ("DisconnectedError", exceptions.SocketIOError),
    ],
)
def test_the_tree_of_exceptions(name: str, parent: type[BaseException]) -> None:
    assert issubclass(getattr(exceptions, name), parent)


@pytest.mark.parametrize(
    ("arguments", "payload"),
    [
        ((), {"message": "Connection rejected by server"}),
        (("no",), {"message": "no"}),
        ((5,), {"message": "5"}),
        (("no", {"a": 1}), {"message": "no", "data": {"a": 1}}),
        (("no", 1, 2), {"message": "no", "data": [1, 2]}),
    ],
)
def test_error_args(arguments: tuple[Any, ...], payload: dict[str, Any]) -> None:
    assert json.loads(json.dumps(exceptions.ConnectionRefusedError(*arguments).error_args)) == payload


EMIT = ["event", "data", "to", "room", "skip_sid", "namespace", "callback", "ignore_queue"]
SIGNATURES = {
    "emit": EMIT,
    "send": EMIT[1:],
    "call": ["event", "data", "to", "sid", "namespace", "timeout", "ignore_queue"],
    "enter_room": ["sid", "room", "namespace"],
    "leave_room": ["sid", "room", "namespace"],
    "close_room": ["room", "namespace"],
    "rooms": ["sid", "namespace"],
    "transport": ["sid", "namespace"],
    "get_environ": ["sid", "namespace"],
    "get_session": ["sid", "namespace"],
    "save_session": ["sid", "session", "namespace"],
    "session": ["sid", "namespace"],
    "disconnect": ["sid", "namespace", "ignore_queue"],
    "shutdown": [],
    "start_background_task": ["target", "args", "kwargs"],
    "sleep": ["seconds"],
    "on": ["event", "handler", "namespace"],
    "event": ["args", "kwargs"],
    "register_namespace": ["namespace_handler"],
}
PLAIN = {"rooms", "transport", "get_environ", "session", "start_background_task", "on", "event", "register_namespace"}


@pytest.mark.parametrize("method", SIGNATURES)
def test_methods_of_the_server(method: str) -> None:
    function = getattr(roomcast.AsyncServer, method)
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    # New abilities are keywords behind the known ones.
    assert names[: len(SIGNATURES[method])] == SIGNATURES[method]
    assert inspect.iscoroutinefunction(function) == (method not in PLAIN)


@pytest.mark.parametrize(
    ("method", "defaults"),
    [
        ("emit", {"data": None, "to": None, "room": None, "skip_sid": None, "callback": None, "ignore_queue": False}),
        ("call", {"timeout": 60, "to": None, "sid": None}),
        ("sleep", {"seconds": 0}),
    ],
)
def test_defaults(method: str, defaults: dict[str, Any]) -> None:
    parameters = inspect.signature(getattr(roomcast.AsyncServer, method)).parameters
    assert {name: parameters[name].default for name in defaults} == defaults


@differs
@pytest.mark.parametrize(("method", "option"), [("emit", "volatile"), ("disconnect", "close")])
def test_new_abilities_are_keywords_that_change_nothing_by_default(method: str, option: str) -> None:
    assert inspect.signature(getattr(roomcast.AsyncServer, method)).parameters[option].default is False


@pytest.mark.parametrize(
    ("method", "names"),
    [
        ("emit", EMIT),
        ("send", EMIT[1:]),
        ("call", SIGNATURES["call"]),
        ("enter_room", ["sid", "room", "namespace"]),
        ("leave_room", ["sid", "room", "namespace"]),
        ("close_room", ["room", "namespace"]),
        ("rooms", ["sid", "namespace"]),
        ("get_session", ["sid", "namespace"]),
        ("save_session", ["sid", "session", "namespace"]),
        ("session", ["sid", "namespace"]),
        ("disconnect", ["sid", "namespace"]),
        ("trigger_event", ["event", "args"]),
    ],
)
def test_methods_of_a_class_namespace(method: str, names: list[str]) -> None:
    function = getattr(roomcast.AsyncNamespace, method)
    assert [name for name in inspect.signature(function).parameters if name != "self"][: len(names)] == names


def test_signature_of_the_asgi_application() -> None:
    names = list(inspect.signature(roomcast.ASGIApp).parameters)
    expected = ["socketio_server", "other_asgi_app", "static_files", "socketio_path", "on_startup", "on_shutdown"]
    assert names[: len(expected)] == expected


@differs
def test_instrumenting_is_not_there_yet_and_says_so() -> None:
    with pytest.raises(NotImplementedError, match=r"not .*yet|later"):  # nothing here speaks the Admin UI's protocol
        roomcast.AsyncServer().instrument(auth=False)


@differs
def test_subclassing_the_queue_managers_names_the_adapter_interface() -> None:
    module = importlib.import_module("roomcast.async_pubsub_manager")

    def subclass() -> None:
        type("Custom", (module.AsyncPubSubManager,), {"_publish": None, "_listen": None})()

    refusal = (TypeError, NotImplementedError)  # for good: _publish and _listen have no counterpart in a broker here
    with pytest.raises(refusal, match=r"[Aa]dapter|broker"):
        subclass()

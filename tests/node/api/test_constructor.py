"""Options of ``AsyncServer`` and the attributes that programs read from it."""

from __future__ import annotations

import warnings
from typing import Any

import msgspec
import pytest

import roomcast
from tests.support.inprocess import Node, Way

differs = pytest.mark.differs


def test_defaults_of_the_attributes() -> None:
    sio = roomcast.AsyncServer()
    assert list(sio.reserved_events) == ["connect", "disconnect"]
    assert isinstance(sio.manager, roomcast.AsyncManager)
    assert sio.environ == {}
    assert sio.handlers == {}
    assert sio.namespace_handlers == {}
    assert sio.namespaces == ["/"]
    assert sio.async_handlers is True
    assert sio.always_connect is False
    assert sio.async_mode == "asgi"
    assert sio.manager_initialized is False
    assert sio.not_handled is not None
    assert sio.packet_class is not None


@pytest.mark.parametrize(
    "options",
    [
        {"async_handlers": False},
        {"always_connect": True},
        {"namespaces": ["/x"]},
        {"namespaces": "*"},
        {"async_mode": "asgi"},
        {"logger": False, "engineio_logger": False},
        {"ping_interval": 5, "ping_timeout": 3},
        {"ping_interval": (5, 1)},
        {"max_http_buffer_size": 10},
        {"allow_upgrades": False},
        {"http_compression": False, "compression_threshold": 1},
        {"cookie": "io", "cors_allowed_origins": "*", "cors_credentials": False},
        {"monitor_clients": True},
        {"transports": ["websocket"]},
        {"transports": "polling"},
        {"json": None, "serializer": "default", "client_manager": None},
    ],
)
def test_known_options_are_accepted_in_silence(options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sio = roomcast.AsyncServer(**options)
    for name in ("async_handlers", "always_connect", "namespaces"):
        if name in options:
            assert getattr(sio, name) == options[name]


@differs
@pytest.mark.parametrize(
    "options",
    [
        {"connect_timeout": 5.0},
        {"max_decode_packets": 16},
        {"max_backlog_bytes": 1000},
        {"max_attachments": 100},
        {"upgrade_timeout": 3},
        {"max_rooms": 10},
        {"websocket_compression": True},
    ],
)
def test_every_setting_is_an_option(options: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        roomcast.AsyncServer(**options)


@differs
@pytest.mark.parametrize("name", ["pingInterval", "max_decode_packet", "engineio_path", "nonsense"])
def test_an_unknown_option_warns_and_is_named(name: str) -> None:
    options: dict[str, Any] = {name: 1}
    with pytest.warns(UserWarning, match=name):
        roomcast.AsyncServer(**options)


@differs
@pytest.mark.parametrize(
    "options",
    [
        {"ping_interval": 0},
        {"ping_timeout": -1},
        {"max_http_buffer_size": 0},
        {"max_attachments": 1001},
    ],
)
def test_what_cannot_work_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        roomcast.AsyncServer(**options)


@pytest.mark.parametrize("options", [{"transports": ["smoke"]}, {"transports": "smoke"}, {"async_mode": "smoke"}])
def test_choices_that_leave_nothing(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        roomcast.AsyncServer(**options)


def test_a_manager_is_told_its_server() -> None:
    manager = roomcast.AsyncManager()
    sio = roomcast.AsyncServer(client_manager=manager)
    assert sio.manager is manager
    assert manager.server is sio


def test_positional_order() -> None:
    manager = roomcast.AsyncManager()
    sio = roomcast.AsyncServer(manager, False, None, False, ["/x"])
    assert (sio.manager, sio.async_handlers, sio.namespaces) == (manager, False, ["/x"])


async def test_the_engine_helpers(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    assert sio.eio.async_mode == "asgi"
    event = sio.eio.create_event()
    event.set()
    await event.wait()
    queue = sio.eio.create_queue()
    with pytest.raises(sio.eio.get_queue_empty_exception()):
        queue.get_nowait()
    assert len({sio.eio.generate_id() for _ in range(1000)}) == 1000
    assert len(sio.eio.generate_id()) == 20
    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert list(sio.eio.sockets) == [client.engine_sid]
        assert list(sio.environ) == [client.engine_sid]
        await client.send("1")
        await client.aclose()
    assert list(sio.eio.sockets) == []
    assert sio.environ == {}


async def test_the_msgpack_serializer(way: Way) -> None:
    sio = roomcast.AsyncServer(serializer="msgpack")
    seen: list[Any] = []

    @sio.event
    async def echo(sid: str, *args: Any) -> Any:
        seen.extend(args)
        return args

    async with Node(sio, way) as node:
        client = await node.open()
        await client.send(msgspec.msgpack.encode({"type": 0, "nsp": "/", "data": {}}))
        answer = await client.receive()
        assert isinstance(answer, bytes)
        assert msgspec.msgpack.decode(answer)["type"] == 0
        await client.send(
            msgspec.msgpack.encode({"type": 2, "nsp": "/", "id": 3, "data": ["echo", {"a": [b"\x00\xff", None]}]})
        )
        packet = await client.receive()
        assert isinstance(packet, bytes)
        assert msgspec.msgpack.decode(packet) == {"type": 3, "nsp": "/", "id": 3, "data": [{"a": [b"\x00\xff", None]}]}
        await sio.emit("e", {"b": b"x"})
        packet = await client.receive()
        assert isinstance(packet, bytes)
        decoded = msgspec.msgpack.decode(packet)
        assert (decoded["type"], decoded["nsp"], decoded["data"]) == (2, "/", ["e", {"b": b"x"}])
        assert seen == [{"a": [b"\x00\xff", None]}]


async def test_two_servers_side_by_side(flavour: Way) -> None:
    one, two = roomcast.AsyncServer(), roomcast.AsyncServer(serializer="msgpack")
    async with Node(one, flavour) as first, Node(two, flavour) as second:
        client = await first.connect()
        other = await second.open()
        await other.send(msgspec.msgpack.encode({"type": 0, "nsp": "/"}))
        assert isinstance(await other.receive(), bytes)
        await one.emit("e", 1)
        assert await client.drain() == ['42["e",1]']

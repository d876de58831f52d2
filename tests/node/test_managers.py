"""python-socketio's managers on a server: what each brings it, and what they are without one. Nothing connects here."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import roomcast
from roomcast.errors import SettingsError
from roomcast.joining import take_broker
from roomcast_brokers.errors import BrokerURLError
from roomcast_emitter import managers as emitters

ASYNC: list[Any] = [
    roomcast.AsyncRedisManager,
    roomcast.AsyncKombuManager,
    roomcast.AsyncKafkaManager,
    roomcast.AsyncAioPikaManager,
    roomcast.AsyncZmqManager,
]
BLOCKING: list[Any] = [roomcast.RedisManager, roomcast.KombuManager, roomcast.KafkaManager, roomcast.ZmqManager]
BROKERS = {
    "AsyncRedisManager": "redis://localhost:6379/0",
    "AsyncKombuManager": "kombu+amqp://guest:guest@localhost:5672//",
    "AsyncKafkaManager": "kafka://localhost:9092",
    "AsyncAioPikaManager": "amqp://guest:guest@localhost:5672//",
    "AsyncZmqManager": "zmq+tcp://localhost:5555+5556",
}
BUILT = {"redis", "zmq"}
"""Extras whose back ends the tests may count on here."""


def broker_of(kind: Any) -> str:
    """What it joins by default: both colours of one name the same."""
    return BROKERS["Async" + kind.__name__.removeprefix("Async")]


@pytest.mark.parametrize("kind", [*ASYNC, *BLOCKING])
def test_what_a_manager_brings_its_server(kind: Any) -> None:
    manager = kind()
    assert isinstance(manager, roomcast.AsyncManager) is (kind in ASYNC)
    assert isinstance(manager, roomcast.Manager) is (kind in BLOCKING)
    found = take_broker(manager, {})
    assert found is not None
    assert (found.url, found.cluster, found.keys) == (broker_of(kind), "socketio", None)
    assert len(manager.host_id) == 32
    other = take_broker(kind(channel="shop", keys=["secret"]), {"keys": None})
    assert other is not None
    assert (other.cluster, other.keys) == ("shop", ["secret"])


@pytest.mark.parametrize("kind", [*ASYNC, *BLOCKING])
def test_its_arguments_are_those_of_the_emitters(kind: Any) -> None:
    theirs = getattr(emitters, kind.__name__)
    assert inspect.signature(kind) == inspect.signature(theirs)
    assert kind.name == theirs.name


def test_options_reach_the_back_end() -> None:
    found = take_broker(roomcast.AsyncKombuManager("redis://h", queue_options={"expires": 3}), {})
    assert found is not None
    assert (found.url, found.options) == ("kombu+redis://h", {"queue_options": {"expires": 3}})
    found = take_broker(roomcast.AsyncRedisManager("redis://h", "shop", redis_options={"a": 1}), {})
    assert found is not None
    assert found.options == {"redis_options": {"a": 1}, "service": "shop"}


@pytest.mark.parametrize("kind", [kind for kind in [*ASYNC, *BLOCKING] if kind.extra in BUILT])
@pytest.mark.parametrize("arguments", [((), {"write_only": True}), ((None, "shop", True), {})])
def test_one_that_only_writes_is_an_emitter(kind: Any, arguments: tuple[tuple[Any, ...], dict[str, Any]]) -> None:
    given, options = arguments
    manager = kind(*[broker_of(kind) if each is None else each for each in given], **options)
    assert type(manager) is getattr(emitters, kind.__name__)
    if kind in BLOCKING:
        manager.emitter.close()


@pytest.mark.parametrize(
    ("server", "kind"), [(roomcast.AsyncServer, roomcast.RedisManager), (roomcast.Server, roomcast.AsyncRedisManager)]
)
def test_those_of_the_other_colour_are_refused(server: Any, kind: Any) -> None:
    with pytest.raises(SettingsError, match=f"{kind.__name__} is not for this server"):
        server(client_manager=kind())


@pytest.mark.parametrize(
    ("server", "kind"), [(roomcast.Server, roomcast.RedisManager), (roomcast.AsyncServer, roomcast.AsyncRedisManager)]
)
def test_a_server_joins_the_cluster_of_its_manager(server: Any, kind: Any) -> None:
    sio = server(client_manager=kind("redis://localhost:1/", channel="shop"))
    assert sio.bus.cluster.options.name == "shop"
    assert sio.manager.server is sio


@pytest.mark.parametrize("kind", [*ASYNC, *BLOCKING])
def test_a_url_of_another_broker_and_wrong_arguments_are_refused(kind: Any) -> None:
    with pytest.raises(BrokerURLError):
        kind("nowhere")
    with pytest.raises(TypeError):
        kind(urll="redis://h")
    with pytest.raises(TypeError):
        kind(urll="redis://h", write_only=True)

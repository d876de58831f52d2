"""python-socketio's names for emitters: arguments in its order, for both colours."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Coroutine
from typing import Any

import pytest
import socketio

from roomcast_brokers.errors import BrokerURLError
from roomcast_emitter import (
    AsyncAioPikaManager,
    AsyncKafkaManager,
    AsyncKombuManager,
    AsyncRedisManager,
    AsyncZmqManager,
    KafkaManager,
    KombuManager,
    OnlyWritesError,
    Outcome,
    Receipt,
    RedisManager,
    ZmqManager,
)
from roomcast_emitter.manager_arguments import REDIS_URL, ManagerArguments
from tests.support.forwarders import forwarding

SID = "tagA" + "s" * 16
RECEIPT = Receipt(Outcome.DELIVERED)
BOTH = pytest.mark.parametrize("kind", [RedisManager, AsyncRedisManager])


class RecordingEmitter:
    """Takes the place of a manager's emitter, and notes what is asked of it by the names of its arguments."""

    def __init__(self, real: Any) -> None:
        self.calls: list[dict[str, Any]] = []
        self._real = real

    def __getattr__(self, name: str) -> Any:
        signature = inspect.signature(getattr(self._real, name))

        def note(*arguments: Any, **options: Any) -> Any:
            self.calls.append({"method": name, **signature.bind(*arguments, **options).arguments})
            return RECEIPT

        async def later(*arguments: Any, **options: Any) -> Any:
            return note(*arguments, **options)

        return later if inspect.iscoroutinefunction(getattr(self._real, name)) else note


class Managed:
    """A manager of either colour over a recording emitter. Calls give what they return, or what is awaited."""

    def __init__(self, kind: type[RedisManager | AsyncRedisManager], **options: Any) -> None:
        self.manager: Any = kind(write_only=True, **options)
        self.emitter = RecordingEmitter(self.manager.emitter)
        vars(self.manager)["emitter"] = self.emitter

    async def does(self, name: str, *arguments: Any, **options: Any) -> Any:
        answer = getattr(self.manager, name)(*arguments, **options)
        assert isinstance(answer, Coroutine) is isinstance(self.manager, AsyncRedisManager)
        return await answer if isinstance(answer, Coroutine) else answer


@BOTH
async def test_an_emit(kind: Any) -> None:
    managed = Managed(kind)
    assert await managed.does("emit", "e", 1, "/x", "room", SID) is RECEIPT
    await managed.does("emit", "e", None, to="a", room="b", volatile=True, unknown=1)
    first, second = managed.emitter.calls
    assert first == {
        "method": "emit", "event": "e", "data": 1, "to": None, "room": "room", "skip_sid": SID, "namespace": "/x",
        "volatile": False,
    }  # fmt: skip
    assert (second["to"], second["room"], second["namespace"], second["volatile"]) == ("a", "b", None, True)


@BOTH
async def test_rooms_and_clients_in_the_incumbents_order(kind: Any) -> None:
    managed = Managed(kind)
    for name, arguments in (
        ("enter_room", (SID, "/x", "room")),
        ("leave_room", (SID, None, 7)),
        ("close_room", ("room", "/x")),
        ("disconnect", (SID, "/x")),
    ):
        assert await managed.does(name, *arguments) is RECEIPT
    assert managed.emitter.calls == [
        {"method": "enter_room", "sid": SID, "room": "room", "namespace": "/x"},
        {"method": "leave_room", "sid": SID, "room": 7, "namespace": None},
        {"method": "close_room", "room": "room", "namespace": "/x"},
        {"method": "disconnect", "sid": SID, "namespace": "/x"},
    ]


@BOTH
async def test_who_asks_to_disconnect_disconnects(kind: Any) -> None:
    managed = Managed(kind)
    assert await managed.does("can_disconnect", SID, "/") is False
    assert managed.emitter.calls == [{"method": "disconnect", "sid": SID, "namespace": "/"}]


@BOTH
async def test_callbacks_need_a_server(kind: Any) -> None:
    managed = Managed(kind)
    with pytest.raises(RuntimeError, match=r"^Callbacks can only be issued from the context of a server\.$"):
        await managed.does("emit", "e", 1, room=SID, callback=print)
    assert managed.emitter.calls == []


@BOTH
async def test_only_to_local_clients_is_to_nobody(kind: Any) -> None:
    managed = Managed(kind)
    assert await managed.does("emit", "e", 1, ignore_queue=True) is None
    assert managed.emitter.calls == []


@BOTH
async def test_what_it_says_to_the_log(kind: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="socketio")
    await Managed(kind).does("emit", "e", 1)
    own = logging.getLogger("own")
    caplog.set_level(logging.INFO, logger="own")
    await Managed(kind, logger=own).does("emit", "e", 1, "/x", "room")
    assert [(record.name, record.getMessage()) for record in caplog.records] == [
        ("socketio", 'emitting event "e" to all [/]'),
        ("own", 'emitting event "e" to room [/x]'),
    ]


@BOTH
def test_one_that_listens_is_somewhere_else(kind: Any) -> None:
    with pytest.raises(OnlyWritesError, match="write_only=True"):
        kind()
    with pytest.raises(OnlyWritesError):
        kind(write_only=True).set_server(object())


@BOTH
def test_urls_that_are_no_redis(kind: Any) -> None:
    for url in ("memory://", "redid://localhost", "localhost"):
        with pytest.raises(ValueError) as caught:
            kind(url, write_only=True)
        assert isinstance(caught.value, BrokerURLError)


@BOTH
def test_what_is_to_be_seen_on_it(kind: Any) -> None:
    manager = kind(write_only=True)
    assert (manager.url, manager.channel) == (REDIS_URL, "socketio")
    assert len(manager.host_id) == 32
    manager = kind("redis://localhost", "shop", True, None, json, {"health_check_interval": 3}, keys=["secret"])
    assert manager.channel == "shop"


EVERY: list[Any] = [
    RedisManager,
    AsyncRedisManager,
    KombuManager,
    AsyncKombuManager,
    KafkaManager,
    AsyncKafkaManager,
    AsyncAioPikaManager,
    ZmqManager,
    AsyncZmqManager,
]


@pytest.mark.parametrize("ours", EVERY)
def test_arguments_stand_where_python_socketio_has_them(ours: Any) -> None:
    """Where it has no such manager in that colour, those of the other."""
    name = ours.__name__
    theirs = getattr(socketio, name, None) or getattr(socketio, name.removeprefix("Async"))

    def positional(function: Any) -> dict[str, Any]:
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD,)
        parameters = inspect.signature(function).parameters.items()
        return {name: each.default for name, each in parameters if each.kind in kinds}

    def named(function: Any, count: int | None = None) -> list[str]:
        return list(positional(function))[:count]

    assert list(positional(ours).items()) == list(positional(theirs).items())
    if theirs.__name__ == name:
        assert ours.name == theirs.name
    for method in ("emit", "close_room", "leave_room", "can_disconnect", "disconnect"):
        assert named(getattr(ours, method)) == named(getattr(theirs, method)), method
    assert named(ours.enter_room, 4) == named(theirs.enter_room, 4)


def test_each_has_a_name_of_its_own() -> None:
    assert len({kind.name for kind in EVERY}) == len(EVERY)


class Began(ManagerArguments):
    """Keeps what the constructor makes of its arguments."""

    def _begin(self, url: Any, channel: str, write_only: bool, *_: Any) -> None:
        self.url, self.options = self._broker_url(url), _[-1]


@pytest.mark.parametrize(
    ("kind", "given", "url"),
    [
        (KombuManager, (), "kombu+amqp://guest:guest@localhost:5672//"),
        (KombuManager, ("redis://localhost:6379/1",), "kombu+redis://localhost:6379/1"),
        (KombuManager, ("kombu+memory://",), "kombu+memory://"),
        (KombuManager, ("amqp://one;amqp://other",), "kombu+amqp://one;amqp://other"),
        (KafkaManager, (), "kafka://localhost:9092"),
        (KafkaManager, ("kafka://",), "kafka://localhost:9092"),
        (KafkaManager, ("kafka://user:secret@h:1/topic",), "kafka://user:secret@h:1/topic"),
        (KafkaManager, (["kafka://h:1"],), "kafka://h:1"),
        (KafkaManager, (["kafka://h:1", "kafka://", "kafka://g:2"],), "kafka://h:1,localhost:9092,g:2"),
        (AsyncAioPikaManager, (), "amqp://guest:guest@localhost:5672//"),
        (AsyncAioPikaManager, ("amqps://h/v",), "amqps://h/v"),
        (ZmqManager, (), "zmq+tcp://localhost:5555+5556"),
        (ZmqManager, ("zmq+ipc:///tmp/folder",), "zmq+ipc:///tmp/folder"),
        (RedisManager, ("valkeys://h",), "valkeys://h"),
    ],
)
def test_which_broker_its_url_means(kind: Any, given: tuple[Any, ...], url: str) -> None:
    assert began(kind, *given).url == url


def began(kind: Any, *arguments: Any, **options: Any) -> Any:
    """What that manager would begin with, without its back end."""
    (sort,) = [each for each in kind.__mro__ if each.__name__.endswith("Arguments") and "__init__" in vars(each)]
    return type("Began", (sort, Began), {})(*arguments, **options)


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (KombuManager, "kombu+"),
        (KombuManager, ["amqp://a", "amqp://b"]),
        (KafkaManager, "amqp://h"),
        (KafkaManager, []),
        (KafkaManager, ["kafka://h:1/topic", "kafka://g:2"]),
        (KafkaManager, ["kafka://h:1", "redis://g:2"]),
        (AsyncAioPikaManager, "kombu+amqp://h"),
        (AsyncAioPikaManager, "redis://h"),
        (ZmqManager, "kafka://h"),
        (RedisManager, "kombu+redis://h"),
        (RedisManager, None),
    ],
)
def test_urls_of_other_brokers_are_refused(kind: Any, url: Any) -> None:
    with pytest.raises(BrokerURLError):
        began(kind, url)


def test_options_go_to_the_back_end() -> None:
    assert began(KombuManager).options == {}
    options = {"connection_options": {"a": 1}, "exchange_options": {}, "queue_options": {"b": 2}}
    assert began(KombuManager, **options).options == options
    assert began(KombuManager, "amqp://h", "shop", True, None, None, None, None, None, {"c": 3}).options == {
        "producer_options": {"c": 3}
    }
    assert began(RedisManager, redis_options={"a": 1}, channel="shop").options == {
        "redis_options": {"a": 1},
        "service": "shop",
    }
    assert began(KafkaManager).options == began(ZmqManager).options == began(AsyncAioPikaManager).options == {}


def test_a_way_of_working_is_needed() -> None:
    with pytest.raises(NotImplementedError):
        ManagerArguments()._begin("", "", True, None, None, None, {})


async def test_over_the_embedded_broker_of_several_processes() -> None:
    with forwarding("zmq+tcp://127.0.0.1:0") as forwarder:
        blocking = ZmqManager(forwarder.url, channel="shop", write_only=True)
        receipt: Any = await asyncio.to_thread(blocking.emit, "e", 1)
        assert receipt.delivered
        await asyncio.to_thread(blocking.emitter.close)
        waiting = AsyncZmqManager(forwarder.url, channel="shop", write_only=True)
        sent: Any = await waiting.emit("e", 2)
        assert sent.delivered
        await waiting.emitter.close()

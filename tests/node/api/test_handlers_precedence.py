"""Which handler runs, with which arguments, for every combination of functions, catch-alls and class namespaces."""

from __future__ import annotations

import asyncio
import functools
import itertools
from typing import Any

import pytest

import roomcast
from tests.support.inprocess import Node, Way, eventually

differs = pytest.mark.differs

FUNCTIONS = [("/chat", "e"), ("/chat", "*"), ("*", "e"), ("*", "*")]
CLASSES = ["/chat", "*"]
PLACES: list[Any] = [*FUNCTIONS, *CLASSES]


def place_all(sio: roomcast.AsyncServer, places: tuple[Any, ...], seen: list[tuple[Any, tuple[Any, ...]]]) -> None:
    """Register a recording handler at each of the places."""
    for place in places:
        if isinstance(place, tuple):
            namespace, event = place
            sio.on(event, lambda *args, place=place: seen.append((place, args)), namespace=namespace)
            continue

        class Recording(roomcast.AsyncNamespace):
            async def on_e(self, *args: Any) -> None:
                seen.append((self.namespace, args))

        sio.register_namespace(Recording(place))


def expected(place: Any, sid: str) -> tuple[Any, ...]:
    """What the handler of this place receives for ``42/chat,["e",1]``."""
    before = {
        ("/chat", "e"): (),
        ("/chat", "*"): ("e",),
        ("*", "e"): ("/chat",),
        ("*", "*"): ("e", "/chat"),
        "/chat": (),
        "*": ("/chat",),
    }
    return (*before[place], sid, 1)


@pytest.mark.parametrize(
    "places",
    [chosen for size in range(1, 7) for chosen in itertools.combinations(PLACES, size)],
    ids=lambda places: "+".join("".join(place) for place in places),
)
async def test_the_first_match_runs_and_no_other(places: tuple[Any, ...]) -> None:
    sio = roomcast.AsyncServer(namespaces=["/chat"])
    seen: list[tuple[Any, tuple[Any, ...]]] = []
    place_all(sio, tuple(reversed(places)), seen)  # the order of registration does not count
    async with Node(sio, Way()) as node:
        client = await node.connect("/chat")
        await client.event("e", 1, namespace="/chat")
        await client.drain()
        assert seen == [(places[0], expected(places[0], client.sid))]


@pytest.mark.parametrize("event", ["connect", "disconnect"])
@pytest.mark.parametrize(
    ("places", "runs"),
    [
        ([("/chat", "*"), ("*", "*")], None),
        ([("/chat", "*"), ("*", "same")], ("*", "same")),
        ([("/chat", "same"), ("*", "same")], ("/chat", "same")),
    ],
)
async def test_catch_all_events_do_not_match_connect_and_disconnect(
    flavour: Way, event: str, places: list[tuple[str, str]], runs: tuple[str, str] | None
) -> None:
    sio = roomcast.AsyncServer(namespaces=["/chat"])
    seen: list[tuple[Any, tuple[Any, ...]]] = []
    for namespace, name in places:
        sio.on(
            event if name == "same" else name,
            lambda *args, place=(namespace, name): seen.append((place, args)),
            namespace=namespace,
        )
    async with Node(sio, flavour) as node:
        client = await node.connect("/chat", {"auth": 1})
        await client.send("41/chat,")
        await client.drain()
        assert [place for place, _ in seen] == ([runs] if runs else [])
        if runs == ("*", "same"):
            assert seen[0][1][:2] == ("/chat", client.sid)
            assert seen[0][1][-1] == ({"auth": 1} if event == "connect" else "client disconnect")


async def test_a_class_claims_every_event_of_its_namespace(flavour: Way) -> None:
    """An event without a method is ignored there and not handed on to the catch-all class."""
    sio = roomcast.AsyncServer()
    seen: list[Any] = []

    class Chat(roomcast.AsyncNamespace):
        async def on_known(self, sid: str) -> None:
            seen.append("known")

    class Everything(roomcast.AsyncNamespace):
        async def on_unknown(self, namespace: str, sid: str) -> None:
            seen.append("caught")

    sio.register_namespace(Chat("/chat"))
    sio.register_namespace(Everything("*"))
    async with Node(sio, flavour) as node:
        client = await node.connect("/chat")
        await client.event("unknown", namespace="/chat")
        await client.event("known", namespace="/chat")
        await client.drain()
        assert seen == ["known"]


async def test_on_registers_and_returns(flavour: Way) -> None:
    sio = roomcast.AsyncServer()

    def handler(sid: str) -> None: ...

    assert sio.on("a", handler) is None
    assert sio.on("b")(handler) is handler
    assert sio.on("c", namespace="")(handler) is handler
    assert sio.on("d", handler, "/chat") is None
    assert sio.event(handler) is handler
    assert sio.event(namespace="/x")(handler) is handler
    assert sio.handlers["/"] == {"a": handler, "b": handler, "c": handler, "handler": handler}
    assert sio.handlers["/chat"] == {"d": handler}
    assert sio.handlers["/x"] == {"handler": handler}


async def test_the_last_registration_counts(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    seen: list[int] = []
    sio.on("e", lambda sid: seen.append(1))
    sio.on("e", lambda sid: seen.append(2))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.event("e")
        await client.drain()
        sio.on("e", lambda sid: seen.append(3))
        await client.event("e")
        await client.drain()
        assert seen == [2, 3]


class CallableObject:
    def __init__(self, seen: list[Any]) -> None:
        self.seen = seen

    async def __call__(self, sid: str, value: int) -> int:
        await asyncio.sleep(0)
        self.seen.append(value)
        return value + 1


async def with_prefix(seen: list[Any], sid: str, value: int) -> int:
    seen.append(value)
    return value + 1


def future_returning(seen: list[Any]) -> Any:
    def handler(sid: str, value: int) -> asyncio.Future[int]:
        seen.append(value)
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        future.get_loop().call_soon(future.set_result, value + 1)
        return future

    return handler


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda seen: functools.partial(with_prefix, seen), id="partial"),
        pytest.param(CallableObject, id="object", marks=differs),
        pytest.param(lambda seen: lambda sid, value: with_prefix(seen, sid, value), id="lambda", marks=differs),
        pytest.param(future_returning, id="future", marks=differs),
    ],
)
async def test_whatever_is_awaitable_is_awaited(flavour: Way, make: Any) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on("e", make(seen))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        assert await client.call("e", 1, id=5) == "435[2]"
        assert seen == [1]


@pytest.mark.parametrize("shape", ["sid", "sid, a", "sid, a, b=2", "sid, *rest", "*everything"])
async def test_event_handlers_get_all_arguments(flavour: Way, shape: str) -> None:
    sio = roomcast.AsyncServer()
    scope: dict[str, Any] = {}
    exec(f"def handler({shape}): return list(locals().values())", scope)
    sio.on("e", scope["handler"])
    async with Node(sio, flavour) as node:
        client = await node.connect()
        if shape == "sid":
            assert await client.call("e") == f'431[["{client.sid}"]]'
        elif shape == "sid, a":
            assert await client.call("e", 1) == f'431[["{client.sid}",1]]'
        elif shape == "sid, a, b=2":
            assert await client.call("e", 1) == f'431[["{client.sid}",1,2]]'
        elif shape == "sid, *rest":
            assert await client.call("e", 1, 2) == f'431[["{client.sid}",[1,2]]]'
        else:
            assert await client.call("e", 1) == f'431[[["{client.sid}",1]]]'


@pytest.mark.parametrize(
    "name", ["message", "json", "connection", "error", "ping", "new_namespace", "room:a/b", "ü", " "]
)
async def test_event_names_that_are_not_reserved_are_events(flavour: Way, name: str) -> None:
    sio = roomcast.AsyncServer()
    seen: list[Any] = []
    sio.on(name, lambda sid, value: seen.append(value))
    async with Node(sio, flavour) as node:
        client = await node.connect()
        await client.event(name, 1)
        await client.drain()
        assert seen == [1]


async def test_plain_handlers_run_in_a_context_of_their_own(flavour: Way) -> None:
    import contextvars

    variable = contextvars.ContextVar("variable", default=0)
    sio = roomcast.AsyncServer()
    seen: list[int] = []

    @sio.event
    def e(sid: str) -> None:
        seen.append(variable.get())
        variable.set(variable.get() + 1)

    async with Node(sio, flavour) as node:
        client = await node.connect()
        for _ in range(3):
            await client.event("e")
        await client.drain()
        await eventually(lambda: len(seen) == 3)
        assert seen == [0, 0, 0]

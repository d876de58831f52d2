"""The clients of python-socketio, asyncio and threaded, against the application of ``interop_app.py``."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
import socketio

from tests.support.deployments import EMPTY, Deployed
from tests.support.python_client import KINDS, PythonClient
from tests.support.server import running_server

TRANSPORTS: dict[str, list[str] | None] = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": None}
PARSERS: dict[str, tuple[dict[str, str], str]] = {
    "json": ({}, "socket.io"),
    "msgpack": ({"serializer": "msgpack"}, "msgpack.io"),
}
BYTES = bytes([0, 1, 2, 253, 254, 255])
BATCHES, BATCH = 6, 10
"""Events in order. The client refuses a poll that brings it more than 16 packets."""

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
"""The clients do not close all of their sockets."""

every_kind = pytest.mark.parametrize("kind", KINDS)
every_transport = pytest.mark.parametrize("transport", TRANSPORTS)
every_parser = pytest.mark.parametrize("parser", PARSERS)


@contextlib.contextmanager
def connected(server: Deployed, kind: str, transport: str, parser: str = "json", **options: Any) -> Any:
    """A client in the main namespace, or in those that are named."""
    parsing, path = PARSERS[parser]
    with PythonClient(kind, **parsing) as client:
        client.connect(server.url, transports=TRANSPORTS[transport], **{"socketio_path": path, **options})
        yield client


@every_kind
@every_transport
@every_parser
def test_events(interop: Deployed, kind: str, transport: str, parser: str) -> None:
    with connected(interop, kind, transport, parser, auth={"tag": "é"}) as client:
        assert client.hear("welcome")[0]["auth"] == {"tag": "é"}
        final = "polling" if transport == "polling" else "websocket"
        assert client.do("transport") == client.do("call", "transport") == final
        numbers = (1, -2.5, 2**53 - 1, None, True)
        rows: list[tuple[Any, ...]] = [(), ("text é 😀 \x1e \u2028",), numbers, ({"nested": [[], {}, ""]}, [])]
        for args in rows:
            client.do("emit", "echo", args)
            assert client.hear("echo") == args
        client.do("send", "hello")
        assert client.hear("message") == ("hello",)


@every_kind
@every_transport
@every_parser
def test_binary(interop: Deployed, kind: str, transport: str, parser: str) -> None:
    no_empty = EMPTY in interop.way.cannot and transport != "polling"
    several = {"first": BYTES, "list": [BYTES if no_empty else b"", "text", b"second"]}
    with connected(interop, kind, transport, parser) as client:
        for args in [(BYTES,), (several, BYTES), (b"\x07" * 70_000,)]:
            client.do("emit", "echo", args)
            assert client.hear("echo") == args
        assert client.do("call", "types", (BYTES, several, "text")) == ["bytes", "dict", "str"]
        assert client.do("call", "same", (BYTES, {"deep": [BYTES]})) == (BYTES, {"deep": [BYTES]})


@every_kind
@every_transport
@every_parser
def test_acknowledgements(interop: Deployed, kind: str, transport: str, parser: str) -> None:
    with connected(interop, kind, transport, parser) as client:
        assert client.do("call", "same") is None
        assert client.do("call", "same", 1) == 1
        assert client.do("call", "same", (1, "two", {"three": [3]})) == (1, "two", {"three": [3]})
        client.answers["question"] = lambda question: None if question == "nothing" else (question, "because", BYTES)
        full = ["why", "because", BYTES]
        for event, question, answered in [
            ("ask", "why", {"call": full}),
            ("ask", "nothing", {"call": None}),
            ("ask with callback", "why", {"callback": full}),
            ("ask with callback", "nothing", {"callback": []}),
        ]:
            client.do("emit", event, question)
            assert client.hear("answered") == (answered,)


@every_kind
@every_transport
def test_namespaces(interop: Deployed, kind: str, transport: str) -> None:
    with (
        connected(interop, kind, transport, namespaces=("/", "/room")) as first,
        connected(interop, kind, transport, namespaces=("/room",)) as second,
    ):
        sids = {first.do("get_sid"), first.do("get_sid", "/room"), second.do("get_sid", "/room")}
        assert len(sids) == 3
        for client in (first, second):
            assert client.do("call", "join", "blue", namespace="/room") == ["blue"]
        for client, other in ((first, second), (second, first)):
            assert client.do("call", "say", ("blue", "to the other"), namespace="/room") == "said"
            assert other.hear("said", "/room") == ("to the other",)
        first.do("call", "leave", "blue", namespace="/room")
        second.do("call", "say", ("blue", "to nobody"), namespace="/room")
        second.do("emit", "join", "green", namespace="/room")
        first.do("call", "join", "green", namespace="/room")
        second.do("call", "say", ("green", "not to nobody"), namespace="/room")
        assert first.hear("said", "/room") == ("not to nobody",)
        assert first.do("call", "same", "main is not disturbed") == "main is not disturbed"


@every_kind
@every_transport
def test_unknown_namespace(interop: Deployed, kind: str, transport: str) -> None:
    with PythonClient(kind) as client:
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.connect(interop.url, ("/nowhere",), transports=TRANSPORTS[transport])
        assert client.hear("connect_error", "/nowhere") == ({"message": "Invalid namespace"},)


@every_kind
@every_transport
@every_parser
def test_refusal(interop: Deployed, kind: str, transport: str, parser: str) -> None:
    parsing, path = PARSERS[parser]
    with PythonClient(kind, **parsing) as client:
        with pytest.raises(socketio.exceptions.ConnectionError):
            client.connect(
                interop.url,
                transports=TRANSPORTS[transport],
                socketio_path=path,
                auth={"refuse": "the weather"},
            )
        assert client.hear("connect_error") == ({"message": "not welcome", "data": {"because": "the weather"}},)


@every_kind
@every_transport
def test_order(interop: Deployed, kind: str, transport: str) -> None:
    with connected(interop, kind, transport, socketio_path=interop.orderly) as client:
        for batch in range(BATCHES):
            sent = [bytes([batch, number]) if number % 5 == 3 else number for number in range(BATCH)]
            for value in sent:
                client.do("emit", "echo", value)
            assert [client.hear("echo")[0] for _ in sent] == sent


@every_kind
@every_transport
def test_reasons(interop: Deployed, kind: str, transport: str) -> None:
    with connected(interop, kind, transport, namespaces=("/observer",)) as observer:
        with connected(interop, kind, transport, auth={"tag": "leave"}) as client:
            client.leave()
            assert client.hear("disconnect") == ("client disconnect",)
        left = departure(observer, "leave")
        # On WebSocket this client closes the connection, often before its DISCONNECT packet has gone out.
        cut_short = set() if transport == "polling" else {"transport close"}
        assert left["reason"] in {"client disconnect"} | cut_short
        with connected(interop, kind, transport, auth={"tag": "kick"}) as client:
            client.do("emit", "kick")
            assert client.hear("disconnect") == ("server disconnect",)
        assert departure(observer, "kick") == {"tag": "kick", "reason": "server disconnect"}


def departure(observer: PythonClient, tag: str) -> dict[str, Any]:
    """What the server says when this one has left. Clients of earlier tests may be missed at any time."""
    while True:
        left: dict[str, Any] = observer.hear("left", "/observer")[0]
        if left["tag"] == tag:
            return left


@pytest.mark.parametrize("graceful", [True, False], ids=["stopped", "killed"])
def test_restart(graceful: bool) -> None:
    """Every client comes back by itself after the server was restarted, and finds it working."""
    with running_server("tests.interop.interop_app:app") as server, contextlib.ExitStack() as stack:
        clients = {}
        for kind, transport in itertools.product(KINDS, TRANSPORTS):
            client = PythonClient(kind, reconnection=True, reconnection_delay=0.05, reconnection_delay_max=0.2)
            clients[kind, transport] = stack.enter_context(client)
            client.connect(server.url, transports=TRANSPORTS[transport])
            assert client.hear("welcome")[0]["pid"] == server.pid
        server.restart(graceful=graceful)
        for (_, transport), client in clients.items():
            assert client.hear("disconnect")[0] in ("transport close", "transport error", "ping timeout")
            assert client.hear("welcome")[0]["pid"] == server.pid
            assert client.do("transport") == ("polling" if transport == "polling" else "websocket")
            assert client.do("call", "same", ("after", BYTES)) == ("after", BYTES)

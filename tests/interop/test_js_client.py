"""The official JavaScript client, newest and 4.0, against the application of ``interop_app.py``.

``js/scenarios.js`` says what the clients do; here is what they must have seen. Transports: polling only, WebSocket
only, and polling that is upgraded.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest

from tests.support.deployments import EMPTY, Deployed
from tests.support.js_client import CLIENTS, TRANSPORTS, Saw, node_program, playing
from tests.support.js_client import play as play_at
from tests.support.server import running_server

PARSERS: dict[str, dict[str, str]] = {
    "json": {},
    "msgpack": {"parser": "socket.io-msgpack-parser", "path": "/msgpack.io/"},
}
BYTES = {"bytes": "000102fdfeff"}
CONNECTION_LOST = {"transport close", "transport error"}


@pytest.fixture(scope="session")
def node() -> str:
    return node_program()


def play(node: str, server: Deployed, scenario: str, client: str, transport: str, **more: Any) -> Saw:
    """What the client saw in a whole scenario."""
    return play_at(node, server.url, scenario, client, transport, **more)


every_client = pytest.mark.parametrize("client", CLIENTS)
every_transport = pytest.mark.parametrize("transport", TRANSPORTS)
every_parser = pytest.mark.parametrize("parser", PARSERS)


@every_client
@every_transport
@every_parser
def test_events(node: str, interop: Deployed, client: str, transport: str, parser: str) -> None:
    saw = play(node, interop, "events", client, transport, **PARSERS[parser])
    final = "polling" if transport == "polling" else "websocket"
    assert saw["welcome"] == [{"tag": "é"}]
    assert len(saw["sid"][0]) == 20
    assert saw["client transport"] == saw["server transport"] == [final]
    assert saw["echo"] == [
        [],
        ["text é 😀 \x1e \u2028"],
        [1, -2.5, 2**53 - 1, None, True],
        [{"nested": [[], {}, ""]}, []],
    ]
    assert saw["message"] == [["hello"]]


@every_client
@every_transport
@every_parser
def test_binary(node: str, interop: Deployed, client: str, transport: str, parser: str) -> None:
    no_empty = EMPTY in interop.way.cannot and transport != "polling"
    saw = play(node, interop, "binary", client, transport, noEmpty=no_empty, **PARSERS[parser])
    several = {"first": BYTES, "list": [BYTES if no_empty else {"bytes": ""}, "text", {"bytes": b"second".hex()}]}
    assert saw["echo"] == [[BYTES], [several, BYTES], [{"bytes": "07" * 70_000}]]
    assert saw["types"] == [[["bytes", "dict", "bytes", "str"]]]
    assert saw["ack"] == [[BYTES, {"deep": [BYTES]}]]


@every_client
@every_transport
@every_parser
def test_acknowledgements(node: str, interop: Deployed, client: str, transport: str, parser: str) -> None:
    saw = play(node, interop, "acks", client, transport, **PARSERS[parser])
    assert saw["ack"] == [[], [1], [1, "two", {"three": [3]}], [[1, 2]], [None]]
    full = ["why", "because", BYTES]
    assert saw["answered"] == [{"call": full}, {"call": None}, {"callback": full}, {"callback": []}]


@every_client
@every_transport
def test_namespaces(node: str, interop: Deployed, client: str, transport: str) -> None:
    saw = play(node, interop, "namespaces", client, transport)
    assert saw["connections"] == [2]
    assert saw["sids"] == [3]
    assert saw["joined"] == [["blue"], ["blue"]]
    assert saw["first heard"] == ["from second"]
    assert saw["second heard"] == ["from first"]
    assert saw["same"] == [["main is not disturbed"]]
    assert saw["unknown"] == ["Invalid namespace"]


@every_client
@every_transport
@every_parser
def test_refusal(node: str, interop: Deployed, client: str, transport: str, parser: str) -> None:
    saw = play(node, interop, "refusal", client, transport, **PARSERS[parser])
    assert saw["refused"] == [{"message": "not welcome", "data": {"because": "the weather"}, "connected": False}]
    assert saw["welcome"] == [{"tag": "dry"}]


@every_client
@every_transport
def test_order(node: str, interop: Deployed, client: str, transport: str) -> None:
    """Text and binary events stay in order, also while the transport changes."""
    assert play(node, interop, "order", client, transport, path=f"/{interop.orderly}/")["received"] == [
        list(range(100))
    ]


@every_client
@every_transport
def test_reasons(node: str, interop: Deployed, client: str, transport: str) -> None:
    endings = ["leave", "kick", "close engine"] + ["lose transport"] * (transport != "polling")
    saw = play(node, interop, "reasons", client, transport, endings=endings)
    assert {left["tag"]: left["reason"] for left in saw["server"]} == {
        "leave": "client disconnect",
        "kick": "server disconnect",
        "close engine": "client disconnect" if transport == "polling" else "transport close",
        **({"lose transport": "transport close"} if transport != "polling" else {}),
    }
    reasons = {left["ending"]: left["reason"] for left in saw["client"]}
    assert reasons == {
        "leave": "io client disconnect",
        "kick": "io server disconnect",
        "close engine": "forced close",
    }


@every_client
@every_transport
def test_silence(node: str, interop: Deployed, client: str, transport: str) -> None:
    """A client that lives but does not answer pings."""
    saw = play(node, interop, "reasons", client, transport, endings=["no pong"], path="/quick.io/")
    assert saw["server"] == [{"tag": "no pong", "reason": "ping timeout"}]
    assert saw["client"][0]["reason"] in CONNECTION_LOST


def check_farewells(node: str, server: Deployed, client: str, transport: str, **how: Any) -> None:
    """Every client heard all that was sent to it, then that the server disconnected it, each once."""
    saw = play(node, server, "farewells", client, transport, closes=[False, True], **how)
    tags = [f"{moment}, {end}" for moment in how["moments"] for end in ("only disconnected", "and closed")]
    heard = [["last words", "text"], ["last words", {"bytes": b"bytes".hex()}], ["disconnect", "io server disconnect"]]
    assert saw["client"] == [{"tag": tag, "heard": heard} for tag in tags]
    assert saw["server"] == [{"tag": tag, "reason": "server disconnect"} for tag in tags]


@every_client
@every_transport
@every_parser
def test_last_words(node: str, interop: Deployed, client: str, transport: str, parser: str) -> None:
    """``emit`` and then ``disconnect``; DISCONNECT comes before the connection is closed, so that is the reason."""
    moments = ["just connected", "asking", "idle"]
    check_farewells(node, interop, client, transport, moments=moments, **PARSERS[parser])


@every_client
@pytest.mark.parametrize("transport", ["upgrade"])
@every_parser
def test_last_words_while_upgrading(node: str, interop: Deployed, client: str, transport: str, parser: str) -> None:
    moments = ["upgrade began", "upgrade probed", "polling paused"]
    check_farewells(node, interop, client, transport, moments=moments, byHand=True, **PARSERS[parser])


@pytest.mark.parametrize("graceful", [True, False], ids=["stopped", "killed"])
def test_restart(node: str, graceful: bool) -> None:
    """Every client comes back by itself after the server was restarted, and finds it working."""
    with running_server("tests.interop.interop_app:app") as server, contextlib.ExitStack() as stack:
        clients = {
            (client, transport): stack.enter_context(playing(node, server.url, "restart", client, transport))
            for client, transport in itertools.product(CLIENTS, TRANSPORTS)
        }
        for client in clients.values():
            client.until("connected")
        first = server.pid
        server.restart(graceful=graceful)
        for (_, transport), client in clients.items():
            client.until("done")
            before, after = client.saw["connected"]
            assert (before["pid"], after["pid"]) == (first, server.pid)
            assert before["sid"] != after["sid"]
            assert after["transport"] == before["transport"] == ("polling" if transport == "polling" else "websocket")
            assert set(client.saw["disconnected"]) <= CONNECTION_LOST
            assert client.saw["ack"] == [["after", BYTES]]

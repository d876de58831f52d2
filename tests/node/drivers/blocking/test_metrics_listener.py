"""Real HTTP against the listener of a blocking server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from roomcast.drivers.blocking.metrics_listener import MAX_CONNECTIONS, MAX_HEAD, MetricsListener
from roomcast.drivers.blocking.server import Server
from roomcast.errors import SettingsError
from tests.support.descriptors import leaves_none_open
from tests.support.patience import PATIENCE
from tests.support.raw_http import request

STEP = threading.Event()
"""Never set: what waits for it waits for a moment."""


@pytest.fixture
def sio() -> Iterator[Server]:
    server = Server(drain_seconds=0)
    yield server
    server.shutdown()


@pytest.fixture
def listener(sio: Server) -> Iterator[MetricsListener]:
    found = sio.serve_metrics(0)
    yield found
    found.close()
    found.close()


def url(listener: MetricsListener, path: str) -> str:
    return f"http://127.0.0.1:{listener.port}{path}"


async def test_metrics(sio: Server, listener: MetricsListener) -> None:
    sio.counters.connects += 7
    answer = await request(url(listener, "/metrics?x=1"))
    assert answer.status == 200
    assert "roomcast_connects_total 7.0" in answer.text
    assert "python_info" in answer.text
    assert answer.header("cache-control") == "no-store"


async def test_openmetrics_by_accept(listener: MetricsListener) -> None:
    accept = [("Accept", "application/openmetrics-text; version=1.0.0")]
    assert (await request(url(listener, "/metrics"), headers=accept)).text.endswith("# EOF\n")


async def test_health_and_readiness_also_while_the_server_ends_and_after(
    sio: Server, listener: MetricsListener
) -> None:
    assert (await request(url(listener, "/healthz"))).status == 200
    ready = await request(url(listener, "/readyz"))
    assert (ready.status, ready.text) == (200, '{"status":"ready"}\n')
    sio.shutdown()
    unready = await request(url(listener, "/readyz"))
    assert unready.status == 503
    assert '"not started","draining"' in unready.text
    assert (await request(url(listener, "/healthz"))).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/metrics", 405), ("HEAD", "/healthz", 200)]
)
async def test_everything_else(listener: MetricsListener, method: str, path: str, status: int) -> None:
    answer = await request(url(listener, path), method)
    assert answer.status == status
    assert bool(answer.body) is (method != "HEAD")


def connect(listener: MetricsListener) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.port), timeout=PATIENCE)


def test_a_request_in_pieces(listener: MetricsListener) -> None:
    with connect(listener) as client:
        for piece in (b"GET /heal", b"thz HTTP/1.1\r\nHost: x\r", b"\n\r\n"):
            client.send(piece)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_request_without_end(listener: MetricsListener) -> None:
    with connect(listener) as client:
        client.sendall(b"x" * (MAX_HEAD + 1))
        assert ended(client)


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_nonsense_is_answered(listener: MetricsListener) -> None:
    with connect(listener) as client:
        client.sendall(b"\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 404 ")


def test_who_opens_connections_and_says_nothing_keeps_nobody_out(listener: MetricsListener) -> None:
    idle = [connect(listener) for _ in range(MAX_CONNECTIONS)]
    with connect(listener) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 ")
    assert ended(idle[0])
    for each in idle:
        each.close()


def test_the_first_free_port_is_taken(sio: Server, listener: MetricsListener) -> None:
    other = sio.serve_metrics(listener.port)
    assert listener.port < other.port <= listener.port + 64
    other.close()
    with pytest.raises(OSError, match=r".+"):
        sio.serve_metrics(0, host="192.0.2.1")


def test_no_port_is_free(sio: Server, listener: MetricsListener) -> None:
    from roomcast.drivers.blocking.metrics_listener import serve_metrics

    with pytest.raises(SettingsError, match="no port from"):
        serve_metrics(sio.runtime, listener.port, readiness=sio.readiness, more_ports=0)


def test_closing_leaves_nothing(sio: Server) -> None:
    sio.start()

    def serve() -> None:
        listener = sio.serve_metrics(0)
        with connect(listener):
            listener.close()

    leaves_none_open(serve)


def test_one_that_goes_before_it_is_accepted(sio: Server, listener: MetricsListener) -> None:
    class Gone:
        """A listening socket whose client has gone again."""

        def accept(self) -> Any:
            raise ConnectionAbortedError

    real = listener.sock
    listener.sock = Gone()  # type: ignore[assignment]  # what is used of it here
    with sio.runtime.turn:
        listener.readable()
        listener.writable()
    listener.sock = real

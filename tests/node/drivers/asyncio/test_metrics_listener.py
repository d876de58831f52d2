"""Real HTTP against the listener."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from roomcast.core.counters import Counters
from roomcast.drivers.asyncio import metrics_listener
from roomcast.drivers.asyncio.metrics_listener import MetricsListener, serve_metrics
from roomcast.errors import SettingsError
from roomcast.exposition.health import Readiness
from roomcast.metrics_port import DEFAULT_PORT, MORE_PORTS
from tests.support.raw_http import request


def ready() -> Readiness:
    return Readiness(started=True)


@asynccontextmanager
async def listening(
    port: int = 0, readiness: Callable[[], Readiness] = ready, registry: CollectorRegistry | None = None
) -> AsyncIterator[tuple[MetricsListener, Counters]]:
    counters = Counters()
    listener = await serve_metrics(port, counters=counters, readiness=readiness, registry=registry)
    try:
        yield listener, counters
    finally:
        await listener.close()


def url(listener: MetricsListener, path: str) -> str:
    return f"http://127.0.0.1:{listener.port}{path}"


async def test_metrics() -> None:
    async with listening() as (listener, counters):
        counters.connects += 7
        answer = await request(url(listener, "/metrics"))
        assert answer.status == 200
        assert "roomcast_connects_total 7.0" in answer.text
        assert "python_info" in answer.text
        assert (answer.header("content-type") or "").startswith("text/plain")
        assert answer.header("cache-control") == "no-store"
        assert answer.header("server") is None


async def test_openmetrics_by_accept() -> None:
    accept = [("Accept", "application/openmetrics-text; version=1.0.0")]
    async with listening() as (listener, _):
        answer = await request(url(listener, "/metrics"), headers=accept)
        assert answer.text.endswith("# EOF\n")


async def test_a_registry_of_the_user_s_own() -> None:
    async with listening(registry=CollectorRegistry()) as (listener, _):
        assert (await request(url(listener, "/metrics"))).body == b""


async def test_health_and_readiness_as_they_are_now() -> None:
    now = Readiness()
    async with listening(readiness=lambda: now) as (listener, _):
        assert (await request(url(listener, "/healthz"))).text == '{"status":"ok"}\n'
        answer = await request(url(listener, "/readyz"))
        assert (answer.status, answer.header("content-type")) == (503, "application/json")
        now = ready()
        assert (await request(url(listener, "/readyz"))).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/metrics", 200),
        ("POST", "/metrics", 405),
        ("DELETE", "/readyz", 405),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/socket.io/?EIO=4&transport=polling", 404),
    ],
)
async def test_nothing_else_is_there(method: str, path: str, status: int) -> None:
    async with listening() as (listener, _):
        answer = await request(url(listener, path), method)
        assert answer.status == status
        assert ("allow" in dict(answer.headers)) is (status == 405)
        assert bool(answer.body) is (method != "HEAD")


@pytest.fixture
def neighbours() -> tuple[socket.socket, int]:
    """A taken port, and its number."""
    taken = socket.create_server(("127.0.0.1", 0))
    return taken, taken.getsockname()[1]


async def test_where_the_port_is_taken_the_next_free_one_serves(neighbours: tuple[socket.socket, int]) -> None:
    taken, port = neighbours
    with taken:
        async with listening(port) as (first, _), listening(port) as (second, _):
            assert port < first.port < second.port <= port + MORE_PORTS
            assert (await request(url(second, "/healthz"))).status == 200


async def test_where_none_is_free_the_range_is_named(neighbours: tuple[socket.socket, int]) -> None:
    taken, port = neighbours
    with taken, pytest.raises(SettingsError, match=f"no port from {port} to {port}"):
        await serve_metrics(port, counters=Counters(), readiness=ready, more_ports=0)


async def test_a_host_that_is_not_ours_is_an_error_at_once() -> None:
    with pytest.raises(OSError, match=r"."):
        await serve_metrics(0, "192.0.2.1", counters=Counters(), readiness=ready)


async def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    listener = await serve_metrics(0, "::1", counters=Counters(), readiness=ready)
    assert (await request(f"http://[::1]:{listener.port}/healthz")).status == 200
    await listener.close()


async def test_after_closing_nobody_answers_and_the_port_is_free() -> None:
    async with listening() as (listener, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)  # idle, kept alive
    with pytest.raises(ConnectionError):
        await request(url(listener, "/healthz"))
    assert await reader.read() == b""
    writer.close()
    await listener.close()  # twice is fine
    socket.create_server(("127.0.0.1", listener.port)).close()


async def test_signals_and_logs_stay_the_application_s(caplog: pytest.LogCaptureFixture) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    access = logging.getLogger("uvicorn.access")
    handlers, propagate = access.handlers[:], access.propagate
    with caplog.at_level(logging.INFO):
        async with listening() as (listener, _):
            await request(url(listener, "/metrics"))
            assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
            assert not caplog.records
    assert (access.handlers, access.propagate) == (handlers, propagate)


async def test_the_application_can_be_mounted_elsewhere() -> None:
    app = metrics_listener.Exposition(CollectorRegistry(), ready)
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        raise AssertionError("there is nothing to receive")

    scope = {"type": "http", "method": "GET", "path": "/inner/readyz", "root_path": "/inner", "headers": []}
    await app(scope, receive, send)
    assert sent[0]["status"] == 200
    await app({"type": "lifespan"}, receive, send)
    assert len(sent) == 2


def test_the_default_port_is_the_documented_one() -> None:
    assert (DEFAULT_PORT, MORE_PORTS) == (9464, 64)

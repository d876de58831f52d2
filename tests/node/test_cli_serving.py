"""``roomcast run`` as a process of its own: what it serves and where, its metrics, and why it could not start."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx
import pytest

from tests.support.api_client import PollingClient, WebSocketClient, request
from tests.support.patience import PATIENCE
from tests.support.run_command import APP, running

# --- serving ----------------------------------------------------------------------------------------------------------


async def test_it_serves_on_uvloop_and_the_fast_path(tmp_path: Path) -> None:
    with running(tmp_path) as command:
        client = await WebSocketClient.open(command.base)
        await client.connect()
        assert await client.call("echo", 1, id=1) == "431[1]"
        assert await client.call("loop", id=2) == '432["uvloop"]'
        assert await client.call("carrier", id=3) == '433[["SocketIOProtocol"]]'
        await client.aclose()
        assert "GET /socket.io" not in command.output()  # sids are secrets: no access log unless asked for
        assert command.stop() == 0


async def test_it_says_what_happens_in_its_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOMCAST_BROKER", "memory://lines")
    with running(tmp_path, "--tag", "n001") as command:
        command.wrote(r"INFO: +the broker is there; this node is n001")
        assert command.output().count("the broker is there") == 1


async def test_the_access_log_when_asked_for(tmp_path: Path) -> None:
    with running(tmp_path, "--access-log") as command:
        client = await PollingClient.open(command.base)
        await client.aclose()
        command.wrote(r"GET /socket\.io/\?EIO=4")


async def test_a_factory_and_a_root_path_and_an_app_dir(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "there.py").write_text(APP)
    arguments = ("--factory", "--app-dir", str(elsewhere), "--root-path", "/api")
    with running(tmp_path, *arguments, app="there:make") as command:
        client = await WebSocketClient.open(command.base)
        await client.aclose()


async def test_an_application_without_a_socket_io_server_is_served_all_the_same(tmp_path: Path) -> None:
    with running(tmp_path, "--metrics-port", "0", app="served:bare") as command:
        assert (await request("GET", command.base, "/here")).text == "/here"
        assert command.stop() == 0


async def test_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with running(tmp_path, "--uds", str(path), port=False) as command:
        command.wrote(r"Uvicorn running on unix socket")
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=PATIENCE) as http:
            answer = await http.get("/socket.io/", params={"EIO": "4", "transport": "polling"})
            assert answer.status_code == 200
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.close()
        assert command.stop() == 0


async def test_on_an_inherited_socket(tmp_path: Path) -> None:
    """As from systemd: the process is given a socket that listens already."""
    program = (
        "import socket, sys; from roomcast.cli import main\n"
        "listening = socket.create_server(('127.0.0.1', 0))\n"
        "print('PORT', listening.getsockname()[1], flush=True)\n"
        "sys.exit(main([*sys.argv[1:], '--fd', str(listening.fileno())]))\n"
    )
    with running(tmp_path, port=False, start=("-c", program)) as command:
        base = f"http://127.0.0.1:{command.wrote(r'PORT (.+)')[1]}"
        command.wrote("Application startup complete")
        client = await WebSocketClient.open(base)
        await client.connect()
        await client.aclose()
        assert command.stop() == 0


# --- metrics ----------------------------------------------------------------------------------------------------------


async def test_metrics_and_health_beside_the_application(tmp_path: Path) -> None:
    with running(tmp_path, "--metrics-port", "0") as command:
        client = await WebSocketClient.open(command.base)
        await client.connect()
        assert await client.call("echo", 1, id=1) == "431[1]"
        shown = (await request("GET", command.metrics, "/metrics")).text
        for line in (
            'roomcast_clients{transport="websocket"} 1.0',
            "roomcast_sockets 1.0",
            "roomcast_connects_total 1.0",
            'roomcast_events_total{direction="in"} 1.0',
            'roomcast_acks_total{direction="out"} 1.0',
        ):
            assert line in shown.splitlines()
        assert "process_open_fds" in shown
        assert (await request("GET", command.metrics, "/healthz")).status_code == 200
        ready = await request("GET", command.metrics, "/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        assert (await request("GET", command.base, "/metrics")).status_code == 404
        await client.aclose()
        assert command.stop() == 0


async def test_a_taken_metrics_port_is_passed_over(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        with running(tmp_path, "--metrics-port", str(port)) as command:
            found = int(command.metrics.rsplit(":", 1)[1])
            assert port < found <= port + 64
            assert (await request("GET", command.metrics, "/healthz")).status_code == 200


async def test_a_metrics_host_that_is_not_ours_is_a_readable_error(tmp_path: Path) -> None:
    with running(tmp_path, "--metrics-port", "0", "--metrics-host", "192.0.2.1") as command:
        assert command.ended() != 0
        assert "192.0.2.1" in command.output()
        assert "Traceback" not in command.output()


# --- not starting -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("nosuchmodule:app", "nosuchmodule"),
        ("served:nosuchname", "nosuchname"),
        ("served", 'must be in format "<module>:<attribute>"'),
        ("served:broken", "start-up fails"),
    ],
)
def test_an_application_that_cannot_be_had(tmp_path: Path, app: str, says: str) -> None:
    with running(tmp_path, app=app) as command:
        assert command.ended() in {1, 2, 3}
        assert says in command.output()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running(tmp_path, "--port", port, port=False) as command:
            assert command.ended() != 0
            assert "address already in use" in command.output()

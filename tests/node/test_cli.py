"""``roomcast run`` as a process of its own: starting, stopping, metrics, mistakes in the command line."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import re
import signal
import socket
import subprocess
import sys
import time  # time: the process is another one, and tells nobody when it is ready
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from roomcast import __version__, cli
from roomcast.drivers.asyncio.metrics_listener import DEFAULT_PORT
from roomcast.errors import SettingsError
from tests.support.api_client import PollingClient, WebSocketClient, request
from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
LOOK_AGAIN = 0.02
"""Seconds between two looks at what a process has written."""

APP = """
import asyncio, os
import roomcast

sio = roomcast.AsyncServer(cors_allowed_origins="*")

@sio.event
async def echo(sid, value):
    return value

@sio.event
async def loop(sid):
    return type(asyncio.get_running_loop()).__module__

@sio.event
async def carrier(sid):
    return [type(session.link.owner).__name__ for session in sio.eio.sockets.values() if session.link]

@sio.event
def disconnect(sid, reason):
    print("LEFT", reason, flush=True)

@sio.event
async def stubborn(sid):
    await asyncio.sleep(3600)

app = roomcast.ASGIApp(sio, on_shutdown=lambda: print("SHUT DOWN", flush=True))

def make():
    return app

async def bare(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})

def failing():
    raise RuntimeError("start-up fails")

broken = roomcast.ASGIApp(roomcast.AsyncServer(), on_startup=failing)
"""


class Command:
    """One ``roomcast run``; what it wrote is in ``output()``."""

    def __init__(self, folder: Path, *arguments: str, start: Sequence[str] = ("-m", "roomcast")) -> None:
        self._log = folder / "output.txt"
        command = [sys.executable, *start, *arguments]
        path = os.pathsep.join([str(ROOT), *(entry for entry in sys.path if entry)])
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wrote(self, pattern: str) -> re.Match[str]:
        """Wait until it has written this."""
        deadline = time.monotonic() + 3 * PATIENCE
        while (found := re.search(pattern, self.output())) is None:
            ended = self.process.poll()
            assert ended is None, f"ended with {ended}:\n{self.output()}"
            assert time.monotonic() < deadline, f"{pattern!r} was never written:\n{self.output()}"
            time.sleep(LOOK_AGAIN)
        return found

    @property
    def base(self) -> str:
        return self.wrote(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")[1]

    @property
    def metrics(self) -> str:
        return self.wrote(r"Metrics and health on (http://127\.0\.0\.1:\d+)/metrics")[1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        return self.process.wait(3 * PATIENCE)


@contextlib.contextmanager
def running(
    folder: Path, *arguments: str, app: str = "served:app", port: bool = True, start: Sequence[str] = ("-m", "roomcast")
) -> Iterator[Command]:
    (folder / "served.py").write_text(APP)
    places = ["--port", "0"] if port else []
    metrics = [] if "--metrics-port" in arguments else ["--metrics-port", "-1"]
    command = Command(folder, "run", app, *places, *metrics, *arguments, start=start)
    try:
        yield command
    except BaseException as failure:
        failure.add_note(command.output())
        raise
    finally:
        command.process.kill()
        command.process.wait()


def at_once(*arguments: str) -> Sequence[str]:
    return ("--drain-seconds", "0.1", *arguments)


async def page(base: str, path: str) -> httpx.Response:
    return await request("GET", base, path)


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
        assert (await page(command.base, "/here")).text == "/here"
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


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_tells_everybody_to_come_back(tmp_path: Path, number: int) -> None:
    async with contextlib.AsyncExitStack() as leaving:
        command = leaving.enter_context(running(tmp_path, *at_once()))
        websocket = await WebSocketClient.open(command.base)
        leaving.push_async_callback(websocket.aclose)
        await websocket.connect()
        polling, idle = await PollingClient.open(command.base), await PollingClient.open(command.base)
        leaving.push_async_callback(polling.aclose)
        leaving.push_async_callback(idle.aclose)
        await polling.connect()
        waiting = asyncio.ensure_future(polling.closed())
        closing = asyncio.ensure_future(websocket.closed())
        began = time.monotonic()
        assert await asyncio.to_thread(command.stop, number) == 0
        assert time.monotonic() - began < PATIENCE
        assert await closing == 1012
        with contextlib.suppress(httpx.TransportError):  # nobody listens any more: clients come back
            assert await waiting == 400
        assert command.output().count("LEFT server shutting down") == 2
        assert "SHUT DOWN" in command.output()
        assert "Traceback" not in command.output()


async def test_a_client_comes_back_to_the_next_process(tmp_path: Path) -> None:
    with running(tmp_path, *at_once()) as command:
        port = command.base.rsplit(":", 1)[1]
        client = await WebSocketClient.open(command.base)
        closing = asyncio.ensure_future(client.closed())
        assert await asyncio.to_thread(command.stop) == 0
        await closing
        await client.aclose()
    with running(tmp_path, "--port", port, port=False) as command:
        again = await WebSocketClient.open(command.base)
        await again.connect()
        await again.aclose()


async def test_a_second_signal_does_not_wait_for_anybody(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-seconds", "60") as command:
        client = await WebSocketClient.open(command.base)
        await client.connect()
        await client.event("stubborn")
        command.process.send_signal(signal.SIGINT)
        await client.closed()
        command.process.send_signal(signal.SIGINT)
        await asyncio.to_thread(command.ended)
        await client.aclose()


# --- metrics ----------------------------------------------------------------------------------------------------------


async def test_metrics_and_health_beside_the_application(tmp_path: Path) -> None:
    with running(tmp_path, "--metrics-port", "0") as command:
        client = await WebSocketClient.open(command.base)
        await client.connect()
        assert await client.call("echo", 1, id=1) == "431[1]"
        shown = (await page(command.metrics, "/metrics")).text
        for line in (
            'roomcast_clients{transport="websocket"} 1.0',
            "roomcast_sockets 1.0",
            "roomcast_connects_total 1.0",
            'roomcast_events_total{direction="in"} 1.0',
            'roomcast_acks_total{direction="out"} 1.0',
        ):
            assert line in shown.splitlines()
        assert "process_open_fds" in shown
        assert (await page(command.metrics, "/healthz")).status_code == 200
        ready = await page(command.metrics, "/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
        assert (await page(command.base, "/metrics")).status_code == 404
        await client.aclose()
        assert command.stop() == 0


async def test_while_it_stops_it_is_not_ready(tmp_path: Path) -> None:
    with running(tmp_path, "--metrics-port", "0", "--drain-seconds", "3") as command:
        clients = [await WebSocketClient.open(command.base) for _ in range(3)]
        metrics = command.metrics
        command.process.send_signal(signal.SIGTERM)
        seen: set[int] = set()
        with contextlib.suppress(httpx.TransportError):
            while 503 not in seen:
                seen.add((await page(metrics, "/readyz")).status_code)
        assert 503 in seen
        for client in clients:
            await client.aclose()
        assert await asyncio.to_thread(command.ended) == 0


async def test_a_taken_metrics_port_is_passed_over(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        with running(tmp_path, "--metrics-port", str(port)) as command:
            found = int(command.metrics.rsplit(":", 1)[1])
            assert port < found <= port + 64
            assert (await page(command.metrics, "/healthz")).status_code == 200


async def test_a_metrics_host_that_is_not_ours_is_a_readable_error(tmp_path: Path) -> None:
    with running(tmp_path, "--metrics-port", "0", "--metrics-host", "192.0.2.1") as command:
        assert command.ended() != 0
        assert "192.0.2.1" in command.output()
        assert "Traceback" not in command.output()


# --- mistakes ---------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("arguments", [[], ["run"], ["walk"], ["run", "a:b", "--port", "x"], ["run", "a:b", "--nope"]])
def test_a_wrong_command_line_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        cli.main(arguments)
    assert exit_code.value.code == 2
    assert "usage: roomcast" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        cli.main(["--version"])
    assert exit_code.value.code == 0
    assert capsys.readouterr().out == f"roomcast {__version__}\n"


def test_defaults() -> None:
    arguments = cli._parser().parse_args(["run", "chat:app"])
    assert (arguments.host, arguments.port, arguments.metrics_host) == ("127.0.0.1", 8000, "127.0.0.1")
    assert (arguments.metrics_port, arguments.access_log) == (DEFAULT_PORT, False)


# --- in this process --------------------------------------------------------------------------------------------------


class FakeServer:
    """Takes what :func:`roomcast.cli.run` would serve, and says whether it started."""

    started: Any = True
    failure: SettingsError | None = None
    made: list[tuple[Any, ...]]

    def __init__(self, config: uvicorn.Config, *more: Any) -> None:
        FakeServer.made.append((config, *more))

    def run(self) -> None:
        if isinstance(FakeServer.started, BaseException):
            raise FakeServer.started


@pytest.fixture
def fake_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    import resource

    before, path, files = gc.get_threshold(), sys.path[:], resource.getrlimit(resource.RLIMIT_NOFILE)
    FakeServer.made, FakeServer.started = [], True
    monkeypatch.setattr(cli, "RunServer", FakeServer)
    yield FakeServer.made
    gc.set_threshold(*before)
    sys.path[:] = path
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


def test_settings_for_production(fake_server: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert cli.main(["run", "chat:app", "--app-dir", str(tmp_path), "--metrics-port", "9000"]) == 0
    config, metrics, *_ = fake_server[0]
    assert metrics == ("127.0.0.1", 9000)
    assert (config.backlog, config.server_header, config.access_log) == (cli.BACKLOG, False, False)
    assert config.ws == "roomcast.drivers.asyncio.uvicorn:SocketIOProtocol"
    assert gc.get_threshold() == cli.GC_THRESHOLDS
    assert sys.path[0] == str(tmp_path)


def test_what_did_not_start_is_an_error(fake_server: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeServer, "started", False)
    assert cli.main(["run", "chat:app", "--metrics-port", "-1"]) == 3
    assert fake_server[0][1] is None


def test_interrupted_twice(fake_server: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeServer, "started", KeyboardInterrupt())
    assert cli.main(["run", "chat:app"]) == 130


def test_what_stopped_at_once_says_why(
    fake_server: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeServer, "failure", SettingsError("no port is free"))
    assert cli.main(["run", "chat:app"]) == 2
    assert capsys.readouterr().err == "roomcast: no port is free\n"


def test_as_many_files_as_the_system_allows(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    import resource

    limits: list[Any] = [(100, 200)]

    def refuse(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    cli.raise_open_files()
    assert limits == [(100, 200), (200, 200)]
    cli.raise_open_files()
    assert len(limits) == 2
    limits.append((100, 200))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    cli.raise_open_files()
    assert "the limit of open files stays at 100" in caplog.text


def test_a_system_without_such_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    cli.raise_open_files()

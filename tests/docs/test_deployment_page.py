"""Each way to run a server that docs/deployment.md shows: its files, its command, and real clients.

The whole of what clients and servers do, over each of these ways, is in tests/interop, marked ``long``.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from roomcast.cli import _parser
from tests.support.deployments import PAGE, WAYS, WEBSOCKET, Deployed, deployed
from tests.support.documented import documented
from tests.support.pages import blocks, write_files
from tests.support.patience import PATIENCE
from tests.support.python_client import PythonClient
from tests.support.raw_http import request as http
from tests.support.services import RedisServer

TEXT = PAGE.read_text("utf-8")
ONE_SERVER, SEVERAL = TEXT.split("\n## Several nodes\n")
COMMANDS = re.findall(r"^\$ (.+)$", ONE_SERVER, re.MULTILINE)
WORKERS, *NODES, UP = re.findall(r"^\$ (.+)$", SEVERAL, re.MULTILINE)
BROKER = "redis://localhost:6379"
"""That the page names."""
SAYS = """

@sio.event
def disconnect(sid, reason):
    print("left:", sid, reason, flush=True)
"""


def test_every_way_has_its_command() -> None:
    assert [way.command for way in WAYS.values()] == COMMANDS


def test_every_file_is_shown() -> None:
    served = {name for command in COMMANDS for name in re.findall(r"\bserve_\w+\.py", command)}
    assert {"app.py", "main.py", "gunicorn.conf.py", "uwsgi_app.py", "fast_worker.py", *served} == set(blocks(PAGE))


def test_what_cannot_be_done_is_said() -> None:
    """The table of the page and the one of the tests are the same, word for word."""
    section = TEXT.split("## What one of them cannot do\n")[1].split("\n## ")[0]
    rows = [row.strip("|").split("|") for row in section.splitlines() if row.startswith("|")][2:]
    said = [tuple(cell.strip() for cell in row) for row in rows]
    assert said == [(name, what, why) for name, way in WAYS.items() for what, why in way.cannot.items()]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", WAYS)
def test_a_server_is_started_used_and_ended(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    app = {f"{module}.py": blocks(PAGE)[f"{module}.py"] + SAYS for module in ("app", "main")}
    with deployed(name, tmp_path, request.config, app) as server:
        for transports in able(server):
            use(server, transports)
        with PythonClient("threads") as last:
            last.connect(server.url, transports=able(server)[-1])
            sid = last.do("get_sid")
            server.running.process.send_signal(server.way.ends)
            assert server.running.process.wait(3 * PATIENCE) in (0, -server.way.ends), server.output()
        reason = server.way.last_reason
        assert re.findall(f"^left: {sid} (.+)$", server.output(), re.MULTILINE) == ([reason] if reason else [])
        assert "Traceback" not in server.output()


def able(server: Deployed) -> list[list[str]]:
    """The transports that clients can have there."""
    websocket = [["polling", "websocket"], ["websocket"]]
    return [["polling"], *([] if WEBSOCKET in server.way.cannot else websocket)]


def use(server: Deployed, transports: list[str]) -> None:
    """Connect, ask and be asked, hear what was said, as text and as bytes."""
    with PythonClient("threads") as client:
        client.answers["question"] = lambda text: text + "!"
        client.connect(server.url, transports=transports)
        assert client.do("call", "say", "hello", timeout=PATIENCE) == "delivered"
        assert client.hear("said") == ("hello",)
        assert client.do("call", "ask", "why", timeout=PATIENCE) == "why!"
        client.do("emit", "say", b"\x00\xff")
        assert client.hear("said") == (b"\x00\xff",)


async def test_where_no_connection_is_shown_it_is_polling(tmp_path: Path) -> None:
    """Of those without a section of their own, the one that comes with Python."""
    program = (
        "import sys; sys.path.insert(0, '.'); from app import app;"
        "from socketserver import ThreadingMixIn; from wsgiref.simple_server import WSGIServer, make_server;"
        "make_server('127.0.0.1', 8000, app, type('Threaded', (ThreadingMixIn, WSGIServer), {})).serve_forever()"
    )
    write_files(PAGE, tmp_path)
    (tmp_path / "serve_it.py").write_text(program)
    with documented("python serve_it.py", tmp_path) as (url, _):
        opened = await http(f"{url}/socket.io/?EIO=4&transport=polling")
        assert '"upgrades":[]' in opened.text
        with PythonClient("threads") as client:
            client.connect(url)
            assert client.do("transport") == "polling"
            assert client.do("call", "say", "hello", timeout=PATIENCE) == "delivered"
            assert client.hear("said") == ("hello",)


@pytest.fixture
def redis() -> Iterator[str]:
    with RedisServer() as server:
        yield server.url


@pytest.mark.timeout(180)
def test_workers_behind_one_socket_by_websocket(tmp_path: Path, redis: str) -> None:
    write_files(PAGE, tmp_path)
    (line,) = re.findall(r"^sio = .+$", SEVERAL, re.MULTILINE)
    app = blocks(PAGE)["app.py"].replace("sio = roomcast.Server()", line.replace(BROKER, redis))
    counts = "\n\n@sio.event\ndef worker(sid):\n    import os\n    return os.getpid()\n"
    (tmp_path / "app.py").write_text(app + counts)
    with documented(WORKERS, tmp_path) as (url, server), PythonClient("threads") as ann, PythonClient("threads") as bo:
        ann.connect(url, transports=["websocket"])
        worker = ann.do("call", "worker", timeout=PATIENCE)
        os.kill(worker, signal.SIGSTOP)  # one that has nothing to do may take them all
        try:
            bo.connect(url, transports=["websocket"])
            assert bo.do("call", "worker", timeout=PATIENCE) != worker
        finally:
            os.kill(worker, signal.SIGCONT)
        hear_each_other([ann, bo])
        assert "Traceback" not in server.output()


@pytest.mark.timeout(180)
def test_nodes_with_a_port_each(tmp_path: Path, redis: str) -> None:
    with contextlib.ExitStack() as stack:
        clients = []
        for port, command in zip(("8001", "8002"), NODES, strict=True):
            variable, _, serve = command.partition(" ")
            assert variable == f"ROOMCAST_BROKER={BROKER}"
            folder = tmp_path / port
            folder.mkdir()
            write_files(PAGE, folder)
            serve = serve.replace(f" --bind 127.0.0.1:{port}", "")
            url, _ = stack.enter_context(documented(serve, folder, {"ROOMCAST_BROKER": redis}))
            clients.append(stack.enter_context(PythonClient("threads")))
            clients[-1].connect(url)
        hear_each_other(clients)


def hear_each_other(clients: list[PythonClient]) -> None:
    for number, client in enumerate(clients):
        assert client.do("call", "say", number, timeout=PATIENCE) == "delivered"
        for each in clients:
            assert each.hear("said") == (number,)


def test_nodes_by_one_command_are_started_so() -> None:
    """``tests/node/test_cli_up.py`` starts them."""
    program, *arguments = UP.split()
    options = _parser().parse_args(arguments)
    assert (program, options.app, options.nodes, options.port) == ("roomcast", "main:app", 4, 8000)

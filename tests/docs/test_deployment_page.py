"""Each way to run the blocking server that docs/deployment.md shows: its files, its command, and real clients."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.support.documented import documented
from tests.support.pages import blocks, write_files
from tests.support.patience import PATIENCE
from tests.support.python_client import PythonClient
from tests.support.raw_http import request
from tests.support.tree import ROOT

PAGE = ROOT / "docs" / "deployment.md"
TEXT = PAGE.read_text("utf-8")
COMMANDS = re.findall(r"^\$ (.+)$", TEXT, re.MULTILINE)
SERVED = ("gevent", "eventlet", "werkzeug")
ENDS = {"serve_werkzeug.py": signal.SIGINT}
"""By which signal an operator ends it; SIGTERM unless it is said here."""
SAYS = """

@sio.event
def disconnect(sid, reason):
    print("left:", reason, flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(PAGE, tmp_path)
    with (tmp_path / "app.py").open("a") as app:
        app.write(SAYS)
    return tmp_path


def test_every_way_has_its_command() -> None:
    programs = [command.split()[0] for command in COMMANDS]
    assert programs == ["gunicorn", "gunicorn", "python", "uwsgi", "python", "python"]
    files = {"app.py", "gunicorn.conf.py", "uwsgi_app.py", *(f"serve_{name}.py" for name in SERVED)}
    assert set(blocks(PAGE)) == files


@pytest.mark.timeout(180)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: re.sub(r"\W+", "-", command)[:40])
def test_a_server_is_started_used_and_ended(command: str, folder: Path) -> None:
    with documented(command, folder) as (url, server):
        for transports in (["websocket"], ["polling"], ["polling", "websocket"]):
            with PythonClient("threads") as client:
                client.answers["question"] = lambda text: text + "!"
                client.connect(url, transports=transports)
                assert client.do("call", "say", "hello", timeout=PATIENCE) == "delivered"
                assert client.hear("said") == ("hello",)
                assert client.do("call", "ask", "why", timeout=PATIENCE) == "why!"
                client.do("emit", "say", b"\x00\xff")
                assert client.hear("said") == (b"\x00\xff",)
        with PythonClient("threads") as last:
            last.connect(url, transports=["websocket"])
            server.process.send_signal(ENDS.get(command.split()[-1], signal.SIGTERM))
            server.wrote("left: server shutting down")
        assert server.process.wait(3 * PATIENCE) in (0, None), server.output()
        assert "Traceback" not in server.output()


@pytest.mark.parametrize("name", ["waitress", "wsgiref"])
async def test_where_no_connection_is_shown_it_is_polling(name: str, folder: Path) -> None:
    program = {
        "wsgiref": "import sys; sys.path.insert(0, '.'); from app import app;"
        "from socketserver import ThreadingMixIn; from wsgiref.simple_server import WSGIServer, make_server;"
        "make_server('127.0.0.1', 8000, app, type('Threaded', (ThreadingMixIn, WSGIServer), {})).serve_forever()",
        "waitress": "import waitress; from app import app; waitress.serve(app, listen='127.0.0.1:8000', threads=8)",
    }[name]
    (folder / "serve_it.py").write_text(program)
    with documented("python serve_it.py", folder) as (url, _):
        opened = await request(f"{url}/socket.io/?EIO=4&transport=polling")
        assert '"upgrades":[]' in opened.text
        with PythonClient("threads") as client:
            client.connect(url)
            assert client.do("transport") == "polling"
            assert client.do("call", "say", "hello", timeout=PATIENCE) == "delivered"
            assert client.hear("said") == ("hello",)

"""What the README shows runs as it stands there: its files are taken out, served, and used by real clients."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path
from typing import Any

import httpx
import pytest
import socketio

from roomcast.cli import _parser
from roomcast.supervision.status import COLUMNS
from tests.support.documented import documented
from tests.support.inprocess import Way, serve
from tests.support.pages import blocks, write_files
from tests.support.patience import PATIENCE
from tests.support.python_client import KINDS, PythonClient
from tests.support.server import running_server
from tests.support.tree import ROOT

README = ROOT / "README.md"
FAST = "roomcast.drivers.asyncio.uvicorn:SocketIOProtocol"
STARTS = {
    "roomcast run": ("fast", ["--metrics-port", "-1"]),
    "uvicorn --ws": ("uvicorn", ["--ws", FAST]),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the README's files, the current one."""
    monkeypatch.chdir(tmp_path)
    assert set(write_files(README, tmp_path)) == {"chat.py", "chat.html", "shop.py", "serve_bakery.py", "kitchen.py"}
    return tmp_path


def test_the_chat_has_twenty_lines_at_most() -> None:
    lines = blocks(README)["chat.py"].splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith("#")]) <= 20


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_chat_is_a_chat(folder: Path, start: str, kind: str) -> None:
    flavour, arguments = STARTS[start]
    with (
        running_server("chat:app", flavour, arguments=["--app-dir", str(folder), *arguments]) as server,
        PythonClient(kind) as ann,
        PythonClient(kind) as bo,
    ):
        ann.connect(server.url, auth={"name": "Ann"})
        bo.connect(server.url, auth={"name": "Bo"})
        assert ann.hear("joined") == ("Bo",)
        assert bo.do("call", "say", "hello") == "delivered"
        assert ann.hear("said") == bo.hear("said") == ("Bo", "hello")
        bo.do("disconnect")
        assert ann.hear("left") == ("Bo",)
        with PythonClient(kind) as nobody, pytest.raises(socketio.exceptions.ConnectionError):
            nobody.connect(server.url)


async def test_the_page_is_served(folder: Path) -> None:
    app: Any = run_path("chat.py")["app"]
    async with serve(app, Way()) as base, httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
        answer = await http.get(base)
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text == blocks(README)["chat.html"]


def test_the_order_reaches_every_screen(folder: Path) -> None:
    with (
        running_server("shop:app", "fast", arguments=["--app-dir", str(folder), "--metrics-port", "-1"]) as server,
        PythonClient("asyncio") as screen,
    ):
        screen.connect(server.url)
        answer = httpx.post(f"{server.url}/orders", params={"dish": "Soup"}, timeout=PATIENCE, trust_env=False)
        assert answer.json() == "on its way"
        assert screen.hear("ordered") == ("Soup",)


def test_the_order_reaches_every_screen_from_aiohttp_too(folder: Path) -> None:
    with documented("python serve_bakery.py", folder) as (url, _), PythonClient("threads") as screen:
        screen.connect(url)
        answer = httpx.post(f"{url}/orders", data={"dish": "Bread"}, timeout=PATIENCE, trust_env=False)
        assert answer.text == "on its way"
        assert screen.hear("ordered") == ("Bread",)


def test_the_order_reaches_every_screen_from_flask_too(folder: Path) -> None:
    with (
        running_server("kitchen:app", "gunicorn threads", arguments=["--chdir", str(folder)]) as server,
        PythonClient("threads") as screen,
    ):
        screen.connect(server.url)
        answer = httpx.post(f"{server.url}/orders/Soup", timeout=PATIENCE, trust_env=False)
        assert answer.text == "on its way"
        assert screen.hear("ordered") == ("Soup",)


def test_the_commands_are_there_with_the_options_that_are_named() -> None:
    text = README.read_text("utf-8")
    assert f"uvicorn --ws {FAST} chat:app" in text
    assert _parser().parse_args(["run", "chat:app", "--port", "8000"]).port == 8000
    assert "roomcast up chat:app --nodes 4" in text
    up = _parser().parse_args(["up", "chat:app", "--nodes", "4", "--broker", "redis://localhost"])
    assert (up.nodes, up.port) == (4, 8000)
    assert "  ".join(COLUMNS[:3]) in re.sub(" {2,}", "  ", text)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert all(f"\n{target}:" in makefile for target in ("up", "test", "bench"))


def test_the_page_loads_the_same_client_as_the_chat_example() -> None:
    page = blocks(README)["chat.html"]
    loader = (ROOT / "examples" / "chat" / "public" / "client.js").read_text("utf-8")
    source = page.partition('<script src="')[2].partition('"')[0]
    integrity = page.partition('integrity="')[2].partition('"')[0]
    assert f'"{source}"' in loader
    assert f'"{integrity}"' in loader

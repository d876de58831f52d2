"""The Flask example as its README starts it: views and pages change one list, and every page sees it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.support.documented import documented
from tests.support.python_client import PythonClient
from tests.support.tree import ROOT

README = (ROOT / "examples" / "flask_app" / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^\$ ((?:gunicorn|flask) .+?)(?:  +#.*)?$", README, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_every_page_sees_the_list_change(command: str, tmp_path: Path) -> None:
    with documented(command, tmp_path) as (url, server), PythonClient("threads") as ann, PythonClient("threads") as bo:
        assert "<title>Shopping list</title>" in httpx.get(url).text
        assert httpx.post(f"{url}/items", data={"name": " Bread "}).json() == {"number": 1}
        ann.connect(url)
        assert ann.hear("list") == ([{"number": 1, "name": "Bread"}],)
        bo.connect(url, transports=["websocket"])
        assert httpx.post(f"{url}/items", data={"name": "Salt"}).status_code == 201
        for page in (ann, bo):
            assert page.hear("added") == ({"number": 2, "name": "Salt"},)
        assert bo.do("call", "bought", 1) is True
        assert bo.do("call", "bought", 1) is False
        assert ann.hear("gone") == (1,)
        assert "Traceback" not in server.output()


def test_what_is_no_item_is_refused(tmp_path: Path) -> None:
    with documented(COMMANDS[0], tmp_path) as (url, _), PythonClient("threads") as client:
        for name in ("", "  ", "x" * 61):
            assert httpx.post(f"{url}/items", data={"name": name}).status_code == 400
        client.connect(url)
        for number in (None, "1", 7, [1], {"number": 1}):
            assert client.do("call", "bought", (number,)) is False


def test_both_commands_are_there() -> None:
    assert [command.split()[0] for command in COMMANDS] == ["gunicorn", "flask"]

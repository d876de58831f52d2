"""``roomcast run --tag``: the application builds its own server, so it reaches that through the environment."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from roomcast import AsyncServer, cli
from roomcast.environment import TAG_VARIABLE

APP = """
import roomcast

sio = roomcast.AsyncServer()
app = roomcast.ASGIApp(sio)
"""


class Server:
    """Stands where uvicorn's would: makes the application's server as importing the application does."""

    made: list[str]
    started = True
    failure = None

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def run(self) -> None:
        Server.made.append(AsyncServer().node.sids.tag)


@pytest.fixture
def harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command changes in its process is not changed in this one, or taken back."""
    monkeypatch.setattr(cli, "raise_open_files", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda *_: None)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv(TAG_VARIABLE, "")


@pytest.fixture
def made(harmless: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tags of the servers that the command has led to."""
    Server.made = []
    monkeypatch.setattr(cli, "RunServer", Server)
    return Server.made


def test_it_reaches_the_server_of_the_application(made: list[str]) -> None:
    assert cli.main(["run", "chat:app", "--tag", "n001"]) == 0
    assert made == ["n001"]


def test_it_wins_over_the_variable(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TAG_VARIABLE, "not a tag")
    assert cli.main(["run", "chat:app", "--tag=-_09"]) == 0
    assert made == ["-_09"]


def test_without_it_the_variable_stays(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TAG_VARIABLE, "n002")
    assert cli.main(["run", "chat:app"]) == 0
    assert made == ["n002"]


@pytest.mark.parametrize("tag", ["", "abc", "abcde", "ab/d"])
def test_a_tag_that_cannot_be(tag: str, made: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "chat:app", "--tag", tag]) == 2
    assert capsys.readouterr().err == (
        f"roomcast: --tag: a node's tag is 4 characters out of A-Z a-z 0-9 _ -, not {tag!r}\n"
    )
    assert made == []
    assert os.environ[TAG_VARIABLE] == ""


@pytest.mark.usefixtures("harmless")
def test_a_variable_that_cannot_be_is_an_error_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TAG_VARIABLE, "abc")
    (tmp_path / "badly_tagged.py").write_text(APP)
    assert cli.main(["run", "badly_tagged:app", "--port", "0", "--app-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("roomcast: ROOMCAST_TAG: a node's tag is 4 characters")

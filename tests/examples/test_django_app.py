"""The Django example as its README starts it: who is signed in is known to handlers, and nobody else gets in."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio

from tests.support.browser import SCENARIO_PATIENCE, Scenario, chat_client, chromium_program, node_with_playwright
from tests.support.documented import documented, ported
from tests.support.logged_process import LoggedProcess
from tests.support.patience import PATIENCE
from tests.support.python_client import PythonClient
from tests.support.server import python_path
from tests.support.tree import ROOT

README = (ROOT / "examples" / "django_app" / "README.md").read_text("utf-8")
SERVE, PREPARE = (
    re.findall(rf"^\$ ({program} .+?)(?:  +#.*)?$", README, re.MULTILINE) for program in ("gunicorn", "python")
)
PEOPLE = ("ann", "bo")
PASSWORD = "correct horse battery staple"
pytestmark = pytest.mark.timeout(2 * SCENARIO_PATIENCE)
TRANSPORTS = (["polling"], ["websocket"])


class Office:
    """The site with its two users."""

    def __init__(self, url: str, running: LoggedProcess, environment: dict[str, str]) -> None:
        self.url = url
        self.running = running
        self.environment = environment

    def signed_in(self, name: str) -> httpx.Client:
        """A browser that has signed in, by Django's own form."""
        browser = httpx.Client(base_url=self.url, follow_redirects=True)
        assert "<title>Sign in</title>" in browser.get("/").text
        page = browser.post("/login/", data={"username": name, "password": PASSWORD, **token(browser)})
        assert f"<h1>Office of {name}</h1>" in page.text
        return browser

    def connect(self, client: PythonClient, browser: httpx.Client | None, transports: list[str]) -> None:
        cookies = f"other=1; sessionid={browser.cookies['sessionid']}" if browser else "sessionid=invented"
        client.connect(self.url, headers={"Cookie": cookies}, transports=transports)


def token(browser: httpx.Client) -> dict[str, str]:
    return {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}


def manage(command: str, environment: dict[str, str]) -> None:
    variables = {**os.environ, "PYTHONPATH": python_path(), **environment}
    subprocess.run(ported(command, "0"), env=variables, check=True, capture_output=True, timeout=6 * PATIENCE)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("office")
    environment = {"DJANGO_DATABASE": str(folder / "office.sqlite3"), "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    migrate, createsuperuser, *_ = PREPARE
    manage(migrate, environment)
    for name in PEOPLE:
        manage(f"{createsuperuser} --noinput --username {name} --email {name}@example.org", environment)
    with documented(SERVE[0], folder, environment) as (url, running):
        yield Office(url, running, environment)
        assert "Traceback" not in running.output()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    """How to open a page: a client that is closed with the test."""
    opened: list[PythonClient] = []

    def open_page() -> PythonClient:
        opened.append(PythonClient("threads").__enter__())
        return opened[-1]

    yield open_page
    for client in opened:
        client.__exit__()


@pytest.mark.parametrize("transports", TRANSPORTS, ids="".join)
def test_users_are_known_and_spoken_to(office: Office, page: Any, transports: list[str]) -> None:
    ann, bo = (office.signed_in(name) for name in PEOPLE)
    at_ann, at_bo, also_at_bo = page(), page(), page()
    office.connect(at_ann, ann, transports)
    for client in (at_bo, also_at_bo):
        office.connect(client, bo, transports)
        assert at_ann.hear("arrived") == ("bo",)
    assert at_ann.do("call", "tell", ("bo", "hello")) is True
    for client in (at_bo, also_at_bo):
        assert client.hear("told") == ({"by": "ann", "text": "hello"},)
    for nobody in (("eve", "hello"), ("bo", ""), ("bo", "x" * 501), ("bo", 7), (None, None), ()):
        assert at_ann.do("call", "tell", nobody) is False
    assert bo.post("/announce/", data={"text": "lunch", **token(bo)}).status_code == 204
    for client in (at_ann, at_bo, also_at_bo):
        assert client.hear("told") == ({"by": "bo", "text": "lunch"},)
    for browser in (ann, bo):
        browser.close()


def test_its_page(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    chat_client()  # the file that stands in for the CDN
    Scenario([office.url], node_with_playwright(), chromium_program(), tmp_path).play("office.mjs")


@pytest.mark.parametrize("transports", TRANSPORTS, ids="".join)
def test_nobody_else_gets_in(office: Office, page: Any, transports: list[str]) -> None:
    """Without a session, with one that nobody was given, and with one that has ended."""
    ann = office.signed_in("ann")
    ended = httpx.Cookies(ann.cookies)
    client = page()
    office.connect(client, ann, transports)
    assert "<title>Sign in</title>" in ann.post("/logout/", data=token(ann)).text
    ann.cookies = ended
    for browser in (None, ann):
        refused = page()
        with pytest.raises(socketio.exceptions.ConnectionError):
            office.connect(refused, browser, transports)
        assert refused.hear("connect_error") == ({"message": "Sign in first."},)
    ann.close()


def test_announcements_are_for_users_with_a_token(office: Office) -> None:
    with contextlib.closing(office.signed_in("ann")) as ann, httpx.Client(base_url=office.url) as stranger:
        assert ann.post("/announce/", data={"text": "no token"}).status_code == 403
        assert ann.post("/announce/", data={"text": "", **token(ann)}).status_code == 400
        assert ann.get("/announce/").status_code == 405
        assert stranger.get("/announce/").status_code == 302

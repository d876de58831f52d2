"""The examples in real browser tabs: headless Chromium on the page, `roomcast run` or `roomcast up` behind it.

The scenarios are in ``browser/*.mjs``. Where node, Chromium or a package is missing they are skipped and say what to
install; with ``CI=true`` they fail instead.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import (
    CHAT,
    SCENARIO_PATIENCE,
    Deeds,
    Scenario,
    chat_client,
    chromium_program,
    node_with_playwright,
)
from tests.support.server import ROOT, ServerProcess, running_server
from tests.support.up_command import ANYWHERE, up

pytestmark = pytest.mark.timeout(2 * SCENARIO_PATIENCE)


@pytest.fixture(scope="module")
def node() -> str:
    return node_with_playwright()


@pytest.fixture(scope="module")
def chromium() -> str:
    return chromium_program()


@pytest.fixture(scope="module")
def client() -> Path:
    return chat_client()


@pytest.fixture
def database(tmp_path: Path) -> dict[str, str]:
    """The environment of a chat of one's own."""
    return {"CHAT_DATABASE": str(tmp_path / "chat.sqlite3")}


@pytest.fixture
def server(client: Path, database: dict[str, str]) -> Iterator[ServerProcess]:
    with running_server("examples.chat.app:app", env=database) as process:
        yield process


@pytest.fixture
def scenario(server: ServerProcess, node: str, chromium: str, tmp_path: Path) -> Scenario:
    deeds: Deeds = {"stop": server.stop, "start": lambda: server.start(server.port)}
    return Scenario([server.url], node, chromium, tmp_path, deeds)


def test_two_people_talk_in_rooms(scenario: Scenario) -> None:
    scenario.play("talk.mjs")


def test_who_loses_the_network_returns_to_the_room(scenario: Scenario) -> None:
    scenario.play("away.mjs")


def test_pages_survive_a_restart_of_the_server(scenario: Scenario) -> None:
    scenario.play("restart.mjs")


def test_page_fits_desk_and_phone_by_day_and_night(scenario: Scenario) -> None:
    scenario.play("looks.mjs")
    sizes = {shot.stem: png_size(shot) for shot in scenario.shots.glob("*.png")}
    assert sizes["phone-dark"] == sizes["phone-light"] == sizes["phone-side"] == (780, 1688)
    assert sizes["desk-dark"] == sizes["desk-light"] == (1280, 800)


def test_without_the_npm_package_the_client_comes_from_the_cdn(scenario: Scenario) -> None:
    scenario.play("cdn.mjs")


@pytest.mark.parametrize("module", ["app", "mounted"])
def test_fastapi_example_shows_orders_on_every_page(
    module: str, client: Path, node: str, chromium: str, tmp_path: Path
) -> None:
    with running_server(f"examples.fastapi_app.{module}:app") as server:
        Scenario([server.url], node, chromium, tmp_path).play("kitchen.mjs")


def test_flask_example_shows_the_list_on_every_page(client: Path, node: str, chromium: str, tmp_path: Path) -> None:
    with running_server("examples.flask_app.app:app", "gunicorn threads") as server:
        Scenario([server.url], node, chromium, tmp_path).play("shopping.mjs")


def test_two_nodes_are_one_chat_also_when_one_of_them_dies(
    client: Path, node: str, chromium: str, database: dict[str, str], tmp_path: Path
) -> None:
    """As ``make up`` starts them."""
    with up(tmp_path, "examples.chat.app:app", "--nodes", "2", *ANYWHERE, env=database) as command:
        nodes = [command.ready(number) for number in (1, 2)]
        deeds: Deeds = {"kill": lambda: os.kill(nodes[1].pid, signal.SIGKILL)}
        Scenario([each.url for each in nodes], node, chromium, tmp_path, deeds).play("between.mjs")
        command.ready(2, restarts=1)
        command.interrupt()
        assert command.ended() == 0


def png_size(picture: Path) -> tuple[int, int]:
    """Width and height in pixels, from the IHDR chunk (PNG, section 11.2.1)."""
    width, height = struct.unpack(">II", picture.read_bytes()[16:24])
    return width, height


@pytest.mark.parametrize(
    "page",
    ["chat/public/client.js", "django_app/templates/office.html"]
    + [f"{framework}_app/index.html" for framework in ("aiohttp", "fastapi", "flask")],
)
def test_the_cdn_copy_is_checked_against_the_npm_file(page: str, client: Path) -> None:
    digest = base64.b64encode(hashlib.sha384(client.read_bytes()).digest()).decode()
    text = (ROOT / "examples" / page).read_text()
    version = re.search(r'"socket\.io-client": "([\d.]+)"', (CHAT / "package.json").read_text())
    assert version is not None
    assert f'"sha384-{digest}"' in text
    assert f"/socket.io-client@{version[1]}/dist/socket.io.min.js" in text

"""The aiohttp example as its README starts it: clicks and POSTs change one count, and every page sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from examples.aiohttp_app.app import CHOICES
from tests.support.documented import documented
from tests.support.python_client import PythonClient
from tests.support.tree import ROOT

README = (ROOT / "examples" / "aiohttp_app" / "README.md").read_text("utf-8")
(COMMAND,) = re.findall(r"^\$ (python .+?)  +#", README, re.MULTILINE)
NOBODY = dict.fromkeys(CHOICES, 0)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with documented(COMMAND, tmp_path) as (url, server):
        yield url
        assert "Traceback" not in server.output()


def test_every_page_sees_the_count_change(url: str) -> None:
    assert "<title>Vote</title>" in httpx.get(url).text
    with PythonClient("threads") as ann, PythonClient("threads") as bo:
        ann.connect(url)
        assert ann.hear("votes") == (NOBODY,)
        assert httpx.post(f"{url}/votes", data={"choice": "Tea"}).status_code == 201
        assert ann.hear("counted") == ({"choice": "Tea", "votes": 1},)
        bo.connect(url, transports=["websocket"])
        assert bo.hear("votes") == ({**NOBODY, "Tea": 1},)
        assert bo.do("call", "vote", "Water") is True
        for page in (ann, bo):
            assert page.hear("counted") == ({"choice": "Water", "votes": 1},)


def test_what_is_no_vote_is_not_counted(url: str) -> None:
    for choice in ("", "Beer"):
        assert httpx.post(f"{url}/votes", data={"choice": choice}).status_code == 400
    with PythonClient("threads") as page:
        page.connect(url)
        assert page.hear("votes") == (NOBODY,)
        for wrong in (None, "Beer", 1, ["Tea"], {"choice": "Tea"}):
            assert page.do("call", "vote", (wrong,)) is False

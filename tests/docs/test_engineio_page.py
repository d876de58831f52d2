"""The echo server of docs/engineio.md echoes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.api_client import open_session
from tests.support.pages import blocks, write_files
from tests.support.server import running_server
from tests.support.tree import ROOT

PAGE = ROOT / "docs" / "engineio.md"


def test_it_has_twenty_lines_at_most() -> None:
    assert len([line for line in blocks(PAGE)["echo.py"].splitlines()[1:] if line.strip()]) <= 20


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_it_echoes(transport: str, tmp_path: Path) -> None:
    write_files(PAGE, tmp_path)
    with running_server("echo:app", "fast", arguments=["--app-dir", str(tmp_path), "--metrics-port", "-1"]) as server:
        client = await open_session(server.url, transport, path="/engine.io/")
        await client.send("4hello", b"\x00\x01")
        assert [await client.receive(), await client.receive()] == ["4hello", b"\x00\x01"]
        assert f"{client.engine_sid} from 127.0.0.1 over {transport}" in server.output()
        await client.aclose()

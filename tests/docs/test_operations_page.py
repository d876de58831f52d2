"""What docs/operations-one-node.md says about ports and the process is so."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path
from typing import Any

import httpx

from roomcast import cli
from roomcast.engineio.addresses import MAX_ADDRESSES
from roomcast.environment import TAG_VARIABLE
from roomcast.exposition.metrics import METRICS
from roomcast.settings import Settings
from tests.support.inprocess import Way, serve
from tests.support.pages import write_files
from tests.support.patience import PATIENCE
from tests.support.tree import ROOT

PAGE = ROOT / "docs" / "operations-one-node.md"
TEXT = PAGE.read_text("utf-8")


async def test_the_listener_of_ones_own_shows_metrics_and_health(tmp_path: Path) -> None:
    write_files(PAGE, tmp_path)
    app: Any = run_path(str(tmp_path / "serve.py"))["app"]
    async with serve(app, Way()), httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as http:
        base = f"http://127.0.0.1:{app.metrics.port}"
        assert (await http.get(f"{base}/readyz")).json() == {"status": "ready"}
        assert (await http.get(f"{base}/healthz")).json() == {"status": "ok"}
        assert "roomcast_connects_total 0.0" in (await http.get(f"{base}/metrics")).text


def test_metrics_and_settings_that_are_named_exist() -> None:
    names = set(re.findall(r"`(roomcast_[a-z_]+)`", TEXT))
    assert names
    assert names <= {metric.name for metric in METRICS}
    settings = set(re.findall(r"`((?:max|ping)_[a-z_]+)`", TEXT)) - {"max_http_buffer_size"}
    assert settings <= set(Settings.__struct_fields__)


def test_the_numbers_of_the_process_are_those_of_the_code() -> None:
    assert f"{cli.BACKLOG:,} connections" in TEXT
    assert f"are kept for {cli.KEEP_ALIVE} s" in TEXT
    assert f"gc.set_threshold({cli.GC_THRESHOLDS[0]:_}, {cli.GC_THRESHOLDS[1]}, {cli.GC_THRESHOLDS[2]})" in TEXT
    options = set(re.findall(r"`(--[a-z-]+)", TEXT)) - {"--workers"}
    known = {option for action in _run_parser()._actions for option in action.option_strings}
    assert options <= known
    settings = Settings()
    assert f"{settings.ping_interval + settings.ping_timeout:g} s" in TEXT


def test_the_ways_to_name_a_node_are_those_of_the_code() -> None:
    assert f"`{TAG_VARIABLE}=" in TEXT
    assert "`--tag" in TEXT
    assert '`AsyncServer(tag="n001")`' in TEXT


def test_the_limit_of_addresses_is_that_of_the_code() -> None:
    assert "`max_handshakes_per_second_per_address`" in TEXT
    assert f"{MAX_ADDRESSES:,} addresses" in TEXT


def _run_parser() -> Any:
    commands: Any = cli._parser()._subparsers
    return commands._group_actions[0].choices["run"]

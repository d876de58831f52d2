"""Grafana's dashboard is what its table says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.draw_dashboard import Panel, Query, _panel, dashboard, main


def test_the_committed_dashboard_is_what_the_table_says() -> None:
    assert main(["--check"]) == 0


def test_check_notices_an_old_one_and_drawing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "roomcast.json"
    assert main(["--check"], page) == 1
    assert "run  python tools/draw_dashboard.py" in capsys.readouterr().err
    assert main([], page) == 0
    assert main(["--check"], page) == 0
    assert json.loads(page.read_text("utf-8")) == dashboard()


def test_a_figure_is_red_where_it_is_told_to_be() -> None:
    queries = (Query("up", "up"),)
    low = _panel(Panel("t", "short", queries, figure=True, red_below=1))
    assert [step["color"] for step in low["fieldConfig"]["defaults"]["thresholds"]["steps"]] == ["red", "green"]
    high = _panel(Panel("t", "short", queries, "why", figure=True, red_from=1))
    assert [step["color"] for step in high["fieldConfig"]["defaults"]["thresholds"]["steps"]] == ["green", "red"]
    assert high["description"] == "why"
    assert "thresholds" not in _panel(Panel("t", "short", queries))["fieldConfig"]["defaults"]

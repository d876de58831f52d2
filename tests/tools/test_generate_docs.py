"""The pages of settings and metrics say what the code says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from roomcast.exposition.metrics import METRICS
from roomcast.settings import Settings
from tools.generate_docs import PAGES, main, metrics_page, settings_page, shown, table


def test_the_committed_pages_are_what_the_code_says() -> None:
    assert main(["--check"]) == 0


def test_check_notices_and_writing_mends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"], tmp_path) == 1
    assert "run  make docs" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert main([], tmp_path) == 0
    assert {path.name for path in tmp_path.iterdir()} == set(PAGES)
    assert main(["--check"], tmp_path) == 0
    (tmp_path / "metrics.md").write_text("old")
    assert main(["--check"], tmp_path) == 1
    assert "metrics.md" in capsys.readouterr().err


def test_every_setting_and_every_metric_has_its_row() -> None:
    settings, metrics = settings_page(), metrics_page()
    assert all(f"| `{field.name}` |" in settings for field in msgspec.structs.fields(Settings))
    assert all(f"| `{metric.name}` |" in metrics for metric in METRICS)
    assert "| `max_sessions` | sessions of this node; none = by the limit of file descriptors | none |" in settings
    assert "| 5 s; a durable broker: 120 s |" in settings


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (True, "", "on"),
        (False, "", "off"),
        (("a", "b"), "", "`a`, `b`"),
        (25.0, "s", "25 s"),
        (0.5, "s", "0.5 s"),
        (1_000_000, "bytes", "1,000,000 bytes"),
        ("word", "", "word"),
    ],
)
def test_defaults_as_people_write_them(value: object, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |\n"

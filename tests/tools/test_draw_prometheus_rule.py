"""The rules of Prometheus, wrapped for its operator, are the rules."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tools.draw_prometheus_rule import drawn, main


def test_the_committed_object_is_what_the_rules_say() -> None:
    assert main(["--check"]) == 0


def test_check_notices_an_old_one_and_drawing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "prometheusrule.yaml"
    assert main(["--check"], page) == 1
    assert "run  python tools/draw_prometheus_rule.py" in capsys.readouterr().err
    assert main([], page) == 0
    assert main(["--check"], page) == 0


def test_all_files_become_one_list(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.yml").write_text(f"# head\n\ngroups:\n  - name: {name}\n\n    rules: []\n")
    groups = yaml.safe_load(drawn(tmp_path))["spec"]["groups"]
    assert sorted(group["name"] for group in groups) == ["one", "two"]


def test_a_file_without_groups_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wrong.yml").write_text("rules: []\n")
    with pytest.raises(ValueError, match="has no"):
        drawn(tmp_path)

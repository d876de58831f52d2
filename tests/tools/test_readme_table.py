"""The numbers in the README are those that the benchmark recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.readme_table import BEGIN, END, NOTHING_YET, filled, main, main_table

TABLE = "| workload | roomcast | Node |\n|---|---|---|\n| echo | 5 | 10 |"
TAKEN = f"2 cores.\n\n{TABLE}"
RESULTS = f"# Results\n\n| machine |\n|---|\n| x |\n\nText.\n\n{TAKEN}\n\n| roomcast | more |\n|---|---|\n"
README = f"before\n{BEGIN}\nold\n{END}\nafter\n"


def test_the_committed_readme_has_the_recorded_numbers() -> None:
    assert main(["--check"]) == 0


def test_the_first_table_that_names_us_is_taken_with_its_circumstances() -> None:
    assert main_table(RESULTS) == TAKEN


@pytest.mark.parametrize("before", ["", "# Results\n\n", "| a | b |\n|---|---|\n\n"])
def test_a_heading_or_another_table_is_no_circumstance(before: str) -> None:
    assert main_table(before + TABLE) == TABLE


def test_results_without_us_are_refused() -> None:
    with pytest.raises(ValueError, match="no table"):
        main_table("# Results\n\n| Node | Rust |\n|---|---|\n| 1 | 2 |\n\nroomcast")


def test_the_table_replaces_what_stood_between_the_markers() -> None:
    assert filled(README, RESULTS) == f"before\n{BEGIN}\n{TAKEN}\n{END}\nafter\n"


def test_without_results_the_readme_says_so() -> None:
    assert NOTHING_YET in filled(README, None)


@pytest.mark.parametrize("readme", ["nothing", BEGIN, END, END + BEGIN])
def test_a_readme_without_markers_is_refused(readme: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        filled(readme, None)


def test_check_notices_and_writing_mends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text(README, "utf-8")
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "RESULTS.md").write_text(RESULTS, "utf-8")
    assert main(["--check"], tmp_path) == 1
    assert "readme_table.py" in capsys.readouterr().err
    assert (tmp_path / "README.md").read_text("utf-8") == README
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    assert TABLE in (tmp_path / "README.md").read_text("utf-8")

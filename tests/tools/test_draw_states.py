"""The page of diagrams says what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.draw_states import BEGIN, END, diagram, drawn, main


def test_the_committed_page_is_what_the_tables_say() -> None:
    assert main(["--check"]) == 0


def test_check_notices_an_old_page_and_drawing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "states.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    assert main(["--check"], page) == 1
    assert "run  python tools/draw_states.py" in capsys.readouterr().err
    assert main([], page) == 0
    assert main(["--check"], page) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text


@pytest.mark.parametrize("page", ["nothing", BEGIN, END, END + BEGIN])
def test_a_page_without_markers_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        drawn(page)


def test_events_that_lead_the_same_way_share_an_arrow() -> None:
    table = {("a", "x"): "b c", ("a", "y"): "b c"}
    assert diagram("a", table).splitlines() == [
        "```mermaid",
        "stateDiagram-v2",
        '    state "b c" as b_c',
        "    [*] --> a",
        "    a --> b_c: x / y",
        "    b_c --> [*]",
        "```",
    ]

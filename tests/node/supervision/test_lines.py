"""Lines of nodes, whatever they hold and however they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.supervision.lines import MAX_LINE, LineSplitter, clean


def test_lines_come_when_they_are_complete() -> None:
    lines = LineSplitter()
    assert lines.feed(b"one\ntw") == ["one"]
    assert lines.feed(b"o\r\n\nthr") == ["two", ""]
    assert lines.feed(b"") == []
    assert lines.close() == ["thr"]
    assert lines.close() == []


def test_a_character_may_arrive_in_pieces() -> None:
    lines = LineSplitter()
    data = "grüße\n".encode()
    assert [line for byte in data for line in lines.feed(bytes([byte]))] == ["grüße"]


def test_lines_without_an_end_are_cut() -> None:
    lines = LineSplitter()
    assert lines.feed(b"x" * MAX_LINE) == []
    assert lines.feed(b"y") == ["x" * MAX_LINE]
    assert lines.feed(b"z" * 2 * MAX_LINE + b"\nend") == ["y" + "z" * (MAX_LINE - 1), "z" * MAX_LINE, "z"]
    assert lines.close() == ["end"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"\x1b[32mINFO\x1b[0m: up", "\x1b[32mINFO\x1b[0m: up"),
        (b"a\tb", "a\tb"),
        (b"\x1b[2J\x1b[H gone", r"\x1b[2J\x1b[H gone"),
        (b"\x1b]0;title\x07", r"\x1b]0;title\x07"),
        (b"over\rwritten", r"over\rwritten"),
        (b"bell\x07 null\x00 del\x7f", r"bell\x07 null\x00 del\x7f"),
        ("\x9b2J".encode(), r"\x9b2J"),
        ("\u202eback\u2028".encode(), r"\u202eback\u2028"),
        (b"\xff\xfe", "��"),
    ],
)
def test_what_could_move_a_cursor_is_spelt_out(written: bytes, shown: str) -> None:
    assert clean(written) == shown


@given(st.lists(st.binary(max_size=50)))
def test_however_it_arrives_the_lines_are_the_same(parts: list[bytes]) -> None:
    at_once, in_parts = LineSplitter(), LineSplitter()
    expected = [*at_once.feed(b"".join(parts)), *at_once.close()]
    assert [line for part in parts for line in in_parts.feed(part)] + in_parts.close() == expected
    assert all(character not in line for line in expected for character in "\r\n\x07\x9b")

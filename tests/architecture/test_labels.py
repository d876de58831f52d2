"""What the sources count by name is a label that exists; anything else would silently count as ``other``."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from roomcast.core.counters import Counters, Tally
from tests.support.tree import ROOT, name_of, python_files

TALLIES = {
    name: value
    for owner in (Counters(), Counters().cluster)
    for name in type(owner).__slots__
    if isinstance(value := getattr(owner, name), Tally)
}


def constant(node: ast.Call) -> str | None:
    """The first argument, if it is a text that stands there."""
    first = node.args[0] if node.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def counted(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, tally, label) of ``….<tally>.count("label")`` and of ``PacketError("label", …)``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or (label := constant(node)) is None:
            continue
        match node.func:
            case ast.Attribute(attr="count", value=ast.Attribute(attr=tally)) if tally in TALLIES:
                yield node.lineno, tally, label
            case ast.Name(id="PacketError"):
                yield node.lineno, "parse_errors", label


def test_every_label_in_the_sources_is_a_known_one() -> None:
    unknown = [
        f"{name_of(path)}:{line}: {label!r} is no label of {tally}"
        for path in python_files("node/roomcast")
        for line, tally, label in counted(ast.parse(path.read_text("utf-8")))
        if label not in TALLIES[tally]
    ]
    assert not unknown


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("self.counters.refused.count('orgin')", [(1, "refused", "orgin")]),
        ("counts.sessions.count(transport)", []),
        ("body.count('x')", []),
        ("raise PacketError('json', 'text')", [(1, "parse_errors", "json")]),
    ],
)
def test_the_search_is_seen_to_find(source: str, found: list[tuple[int, str, str]]) -> None:
    assert list(counted(ast.parse(source))) == found


def test_the_search_looks_at_the_sources() -> None:
    assert (ROOT / "node" / "roomcast" / "core" / "counters.py") in python_files("node/roomcast")
    of_node = {"refused", "disconnects", "parse_errors", "handler_errors", "sessions"}
    assert of_node | {"received", "dropped", "ask_ends"} == set(TALLIES)

"""The files of the repository, for tests about the sources themselves."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parents[2]

SOURCES = ("brokers/roomcast_brokers", "emitter/roomcast_emitter", "node/roomcast")

_NOT_OURS = {".git", ".venv", "node_modules", "__pycache__", "build", "dist"}


@cache
def tracked_files() -> tuple[Path, ...]:
    """Every file that git tracks and that exists; in an unpacked archive without git: every file that is not
    generated.
    """
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        paths = [path for path in ROOT.rglob("*") if not _NOT_OURS & set(path.relative_to(ROOT).parts)]
    return tuple(sorted(path for path in paths if path.is_file()))


def python_files(*folders: str) -> tuple[Path, ...]:
    """The tracked Python files, of all folders or of those named."""
    return tuple(
        path
        for path in tracked_files()
        if path.suffix == ".py" and (not folders or any(path.is_relative_to(ROOT / folder) for folder in folders))
    )


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


class Function(msgspec.Struct, frozen=True):
    """A function and how many lines it has, its docstring and decorators aside."""

    name: str
    line: int
    lines: int


def functions(path: Path) -> Iterator[Function]:
    """All functions of a file, methods and inner ones included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield Function(node.name, node.lineno, lines)

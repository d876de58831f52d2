"""What must hold for every file, whatever it does: names, sizes, what may stand in it."""

from __future__ import annotations

import ast
import importlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tree import ROOT, SOURCES, functions, name_of, python_files, tracked_files

FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base"}

LONGEST_MODULE, TARGET_MODULE = 600, 300
LONGEST_FUNCTION, TARGET_FUNCTION = 60, 35

# One letter of each is in brackets, so that this file does not find itself.
# What nginx writes in its container, where nothing else can be written to, is no path of the machine it was made on.
MACHINE_PATHS = re.compile(r"(?<![\w./:-])/(?:[h]ome|[r]oot|[w]ork|[f]arm|[t]mp(?!/nginx)|[U]sers)/")
REGISTRY_HOSTS = re.compile(
    r"registry\.[n]pmjs\.org|registry\.[y]arnpkg\.com|files\.[p]ythonhosted\.org|[p]ypi\.org/simple|[d]eb\.debian\.org"
)
LOCK_FILES = {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "uv.lock", "poetry.lock"}

PUBLIC_PACKAGES = ("roomcast", "roomcast_brokers", "roomcast_emitter")


def test_a_path_tells_what_is_in_it() -> None:
    vague = [name_of(path) for path in python_files() if FORBIDDEN_NAMES & {*path.relative_to(ROOT).parts, path.stem}]
    assert not vague


def over(limit_module: int, limit_function: int, *folders: str) -> list[str]:
    found = []
    for path in python_files(*folders):
        lines = len(path.read_text("utf-8").splitlines())
        if lines > limit_module:
            found.append(f"{name_of(path)}: {lines} lines")
        found += [
            f"{name_of(path)}:{function.line} {function.name}(): {function.lines} lines"
            for function in functions(path)
            if function.lines > limit_function
        ]
    return found


def test_nothing_is_longer_than_one_can_read() -> None:
    assert not over(LONGEST_MODULE, LONGEST_FUNCTION)


@pytest.mark.filterwarnings("default::UserWarning")
def test_what_is_longer_than_the_targets_is_listed() -> None:
    """Never fails; the list stands among the warnings of the run."""
    long = over(TARGET_MODULE, TARGET_FUNCTION, *SOURCES)
    if long:
        warnings.warn("over the targets of size:\n  " + "\n  ".join(long), UserWarning, stacklevel=1)


@pytest.fixture(scope="module")
def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked_files():
        try:
            found.append((path, path.read_text("utf-8")))
        except UnicodeDecodeError:
            continue  # an image
    return found


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, REGISTRY_HOSTS], ids=["paths", "hosts"])
def test_nothing_remembers_where_it_was_built(pattern: re.Pattern[str], texts: list[tuple[Path, str]]) -> None:
    found = [
        f"{name_of(path)}:{number}: {line.strip()[:100]}"
        for path, text in texts
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found


def test_there_is_no_lock_file() -> None:
    assert not [name_of(path) for path in tracked_files() if path.name in LOCK_FILES]


@pytest.mark.parametrize("package", PUBLIC_PACKAGES)
def test_public_names_are_listed_and_exist(package: str) -> None:
    module = importlib.import_module(package)
    names: list[str] = module.__all__
    assert len(names) == len(set(names))
    assert not [name for name in names if not hasattr(module, name)]


@pytest.mark.parametrize("folder", SOURCES)
def test_every_folder_of_sources_is_a_package(folder: str) -> None:
    folders = {path.parent for path in python_files(folder)}
    assert not [name_of(each) for each in folders if not (each / "__init__.py").is_file()]


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def banned(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            if "time" in names and "# time:" not in lines[line - 1]:
                yield f"{line}: a clock; say why behind '# time:'"
            if {"mock", "unittest.mock", "Mock", "MagicMock", "AsyncMock"} & names:
                yield f"{line}: a mock; write a fake with a name"
        elif isinstance(node, ast.Call) and called(node) == "sleep" and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and argument.value != 0:
                yield f"{line}: waits for a length of time that nobody named"


def test_tests_wait_for_events_and_use_fakes() -> None:
    """tests/support may look at a clock: there are the few places that wait on behalf of all tests."""
    support = ROOT / "tests" / "support"
    paths = [path for path in python_files("tests") if not path.is_relative_to(support)]
    found = [f"{name_of(path)}:{complaint}" for path in paths for complaint in banned(path)]
    assert not found


@pytest.mark.parametrize(
    ("source", "complaints"),
    [
        ("import time\n", 1),
        ("from time import monotonic  # time: measures\n", 0),
        ("from unittest.mock import Mock\n", 1),
        ("import unittest.mock\n", 1),
        ("await_ = sleep(0)\nsleep(SHORTLY)\n", 0),
        ("asyncio.sleep(0.1)\n", 1),
    ],
)
def test_the_bans_are_seen_to_work(source: str, complaints: int, tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(source)
    assert len(list(banned(path))) == complaints

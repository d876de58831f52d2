"""The three distributions: what their wheels hold and need, and that versions move together."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import module
from tests.support.tree import ROOT, name_of, python_files

DISTRIBUTIONS = {"roomcast": "node", "roomcast-brokers": "brokers", "roomcast-emitter": "emitter"}


def pyproject(folder: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text("utf-8"))


def required(lines: list[str]) -> set[str]:
    """Names in requirement lines, those of extras left out."""
    plain = [line for line in lines if "extra ==" not in line]
    return {match.group().lower().replace("_", "-") for line in plain if (match := re.match(r"[A-Za-z0-9._-]+", line))}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    module("hatchling")
    out = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    for folder in DISTRIBUTIONS.values():
        run = subprocess.run(command, cwd=ROOT / folder, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
    return {name: next(out.glob(f"{name.replace('-', '_')}-*.whl")) for name in DISTRIBUTIONS}


def metadata(wheel: Path) -> dict[str, list[str]]:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        message = message_from_bytes(archive.read(name))
    return {key: [str(value) for value in message.get_all(key, [])] for key in message.keys()}  # noqa: SIM118  # no mapping


@pytest.mark.parametrize(("name", "folder"), DISTRIBUTIONS.items())
def test_a_wheel_holds_its_package_and_nothing_else(name: str, folder: str, wheels: dict[str, Path]) -> None:
    package = name.replace("-", "_")
    version = pyproject(folder)["project"]["version"]
    with zipfile.ZipFile(wheels[name]) as archive:
        files = archive.namelist()
    assert f"{package}/py.typed" in files
    assert any(file.endswith("licenses/LICENSE") for file in files)
    assert {file.split("/")[0] for file in files} <= {package, f"{package}-{version}.dist-info"}
    sources = {name_of(path).removeprefix(f"{folder}/") for path in python_files(f"{folder}/{package}")}
    assert sources <= set(files)


def needs(name: str, wheels: dict[str, Path]) -> Iterator[str]:
    """``name`` and everything that installing it brings, extras left out."""
    yield name
    ours = name in wheels
    lines = metadata(wheels[name]).get("Requires-Dist", []) if ours else importlib.metadata.requires(name)
    for each in required(lines or []):
        yield from needs(each, wheels)


def test_the_emitter_brings_no_server(wheels: dict[str, Path]) -> None:
    assert set(needs("roomcast-emitter", wheels)) == {"roomcast-emitter", "roomcast-brokers", "msgspec"}


def test_the_emitter_works_where_nothing_else_is_installed(wheels: dict[str, Path], tmp_path: Path) -> None:
    for name in ("roomcast-emitter", "roomcast-brokers"):
        with zipfile.ZipFile(wheels[name]) as archive:
            archive.extractall(tmp_path)
    msgspec = Path(importlib.import_module("msgspec").__file__ or "").parent
    shutil.copytree(msgspec, tmp_path / "msgspec")
    code = "import sys; sys.path.append(sys.argv[1]); import roomcast_emitter, roomcast_brokers.registry as r; r.create('memory://')"
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_the_node_needs_what_the_design_names(wheels: dict[str, Path]) -> None:
    found = metadata(wheels["roomcast"])
    assert required(found["Requires-Dist"]) == {
        "roomcast-brokers", "roomcast-emitter", "msgspec", "uvicorn", "httptools", "uvloop", "prometheus-client",
        "websockets",
    }  # fmt: skip
    assert {"asyncio", "msgpack"} <= set(found["Provides-Extra"])


@pytest.mark.parametrize(("name", "folder"), DISTRIBUTIONS.items())
def test_one_version_everywhere(name: str, folder: str) -> None:
    project = pyproject(folder)["project"]
    version = pyproject("node")["project"]["version"]
    assert project["version"] == version
    assert importlib.import_module(name.replace("-", "_")).__version__ == version
    assert {f"{other}=={version}" for other in DISTRIBUTIONS} >= {
        line for line in project["dependencies"] if line.startswith("roomcast")
    }


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = [line.partition("==") for line in lines if line and not line.startswith("#")]
    assert all(separator for _, separator, _ in pinned), "every line is name==version"
    return {name.lower().replace("_", "-"): version for name, _, version in pinned}


def test_everything_that_is_installed_for_the_tests_is_pinned_by_name() -> None:
    wanted = required((ROOT / "tests" / "requirements.txt").read_text("utf-8").splitlines())
    for folder in DISTRIBUTIONS.values():
        project = pyproject(folder)["project"]
        wanted |= required(project["dependencies"])
        wanted |= {name for lines in project.get("optional-dependencies", {}).values() for name in required(lines)}
    assert wanted - pins().keys() - DISTRIBUTIONS.keys() == set()


def test_constraints_name_versions_and_no_places() -> None:
    text = (ROOT / "constraints.txt").read_text("utf-8")
    assert "://" not in text
    assert not [line for line in text.splitlines() if not line.startswith("#") and re.search(r"[@/\s]|--", line)]
    names = [line for line in text.splitlines() if not line.startswith("#")]
    assert names == sorted(names)

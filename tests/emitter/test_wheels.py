"""``pip install roomcast-emitter[redis]`` from the wheels: it brings no server, and emits."""

from __future__ import annotations

import asyncio
import importlib
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from roomcast_brokers.contracts import State
from roomcast_brokers.registry import create
from tests.support.listeners import RecordingListener
from tests.support.patience import PATIENCE
from tests.support.programs import module
from tests.support.services import RedisServer
from tests.support.tree import ROOT

PROGRAM = """
import importlib.util, sys
from roomcast_emitter import Emitter, RedisManager

with Emitter(sys.argv[1], on_failure="raise") as emitter:
    assert emitter.emit("e", {"from": "a worker"}, to="room").delivered
manager = RedisManager(sys.argv[1], write_only=True)
assert manager.emit("e", {"by": "its old name"}).delivered
manager.emitter.close()
servers = [name for name in ("roomcast", "uvicorn", "uvloop", "starlette") if importlib.util.find_spec(name)]
assert not servers, servers
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    module("hatchling")
    out = tmp_path_factory.mktemp("wheels")
    for folder in ("brokers", "emitter"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
        run = subprocess.run(command, cwd=ROOT / folder, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
    return sorted(out.glob("*.whl"))


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def emits(redis: RedisServer, run: Callable[[str], subprocess.CompletedProcess[str]]) -> None:
    """See that what ``run`` starts with the URL of the broker is heard by who listens there."""
    listener = RecordingListener()
    broker = create(redis.url)
    broker.open(listener)
    broker.subscribe("socketio:all", 1)
    await listener.until(lambda heard: heard.state is State.UP)
    try:
        done = await asyncio.to_thread(run, redis.url)
        assert done.returncode == 0, done.stderr
        await listener.until(lambda heard: any(b"its old name" in each for each in heard.payloads("socketio:all")))
    finally:
        await broker.close()


async def test_it_emits_where_only_its_needs_are(wheels: list[Path], redis: RedisServer, tmp_path: Path) -> None:
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path)
    for name in ("msgspec", "redis", "hiredis"):
        module(name)
        package = Path(importlib.import_module(name).__file__ or "").parent
        shutil.copytree(package, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))

    def run(url: str) -> subprocess.CompletedProcess[str]:
        code = f"import sys; sys.path.append({str(tmp_path)!r})\n{PROGRAM}"
        return subprocess.run(
            [sys.executable, "-I", "-S", "-c", code, url],
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
        )

    await emits(redis, run)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_pip_installs_no_server_with_it(wheels: list[Path], redis: RedisServer, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    links = ["--find-links", str(wheels[0].parent), "--constraint", str(ROOT / "constraints.txt")]

    def quiet(*command: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)

    installed = await asyncio.to_thread(quiet, *pip, "install", *links, "roomcast-emitter[redis]")
    assert installed.returncode == 0, installed.stderr
    listing = "import importlib.metadata as m; print(*(each.name.lower() for each in m.distributions()))"
    names = set((await asyncio.to_thread(quiet, str(python), "-c", listing)).stdout.split())
    assert names >= {"roomcast-emitter", "roomcast-brokers", "msgspec", "redis", "hiredis"}
    assert not names & {"roomcast", "uvicorn", "uvloop", "httptools", "starlette", "fastapi", "prometheus-client"}
    await emits(redis, lambda url: quiet(str(python), "-c", PROGRAM, url))

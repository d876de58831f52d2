"""Who may import whom. Each contract is run on the sources, and on a copy with one bad import, where it must fail."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.programs import module
from tests.support.tree import ROOT, SOURCES

with (ROOT / "pyproject.toml").open("rb") as file:
    CONTRACTS = [contract["id"] for contract in tomllib.load(file)["tool"]["importlinter"]["contracts"]]

# (contract, the file that gets one more line, the line)
BAD_IMPORTS = [
    ("distributions", "brokers/roomcast_brokers/errors.py", "import roomcast_emitter"),
    ("distributions", "brokers/roomcast_brokers/errors.py", "import roomcast.errors"),
    ("distributions", "emitter/roomcast_emitter/errors.py", "import roomcast.errors"),
    ("node-layers", "node/roomcast/websocket/frames.py", "import roomcast.engineio.packet"),
    ("node-layers", "node/roomcast/engineio/packet.py", "import roomcast.core.counters"),
    ("node-layers", "node/roomcast/core/counters.py", "import roomcast.exposition.health"),
    ("node-layers", "node/roomcast/exposition/health.py", "import roomcast.drivers.asyncio"),
    ("node-layers", "node/roomcast/core/options.py", "import roomcast.environment"),
    ("node-layers", "node/roomcast/errors.py", "import roomcast.settings"),
    ("node-layers", "node/roomcast/supervision/fleet.py", "import roomcast.drivers.asyncio"),
    ("node-layers", "node/roomcast/drivers/asyncio/bus.py", "import roomcast.supervision.fleet"),
    ("node-layers", "node/roomcast/doctor/report.py", "import roomcast.drivers.asyncio"),
    ("never-wait", "node/roomcast/core/counters.py", "import time"),
    ("never-wait", "node/roomcast/supervision/fleet.py", "import time"),
    ("never-wait", "node/roomcast/doctor/judging/reach.py", "import asyncio"),
    ("never-wait", "node/roomcast/engineio/packet.py", "from concurrent.futures import Future"),
    ("never-wait", "node/roomcast/websocket/frames.py", "import asyncio"),
    ("brokers-rules-never-wait", "brokers/roomcast_brokers/addressing.py", "import threading"),
    ("brokers-rules-never-wait", "brokers/roomcast_brokers/publishing.py", "from time import monotonic"),
    ("brokers-rules-never-wait", "brokers/roomcast_brokers/codec.py", "import roomcast_brokers.backends.memory"),
    ("brokers-rules-never-wait", "brokers/roomcast_brokers/backoff.py", "import time"),
    ("zmq-rules-never-wait", "brokers/roomcast_brokers/backends/zmq/session.py", "import time"),
    ("zmq-rules-never-wait", "brokers/roomcast_brokers/backends/zmq/switchboard.py", "import zmq"),
    ("amqp-rules-never-wait", "brokers/roomcast_brokers/backends/aiopika/session.py", "import asyncio"),
    ("emitter-rules-never-wait", "emitter/roomcast_emitter/postbox.py", "import time"),
    ("core-knows-no-back-end", "node/roomcast/core/counters.py", "import roomcast_brokers.backends.memory"),
    ("core-knows-no-back-end", "node/roomcast/core/counters.py", "import roomcast_brokers.bridge"),
    ("bridges-know-no-back-end", "brokers/roomcast_brokers/inbox.py", "import roomcast_brokers.backends.memory"),
    ("back-ends-independent", "brokers/roomcast_brokers/backends/other.py", "import roomcast_brokers.backends.memory"),
    ("drivers-independent", "node/roomcast/drivers/other.py", "import roomcast.drivers.asyncio"),
    ("light-emitter", "emitter/roomcast_emitter/errors.py", "import uvicorn"),
]


def lint_imports(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the linter on the sources in ``tree``, wherever the packages are installed."""
    module("importlinter")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    path = os.pathsep.join(str((tree / source).parent) for source in SOURCES)
    return subprocess.run(
        [*command, "--config", str(tree / "pyproject.toml"), "--no-cache", *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "300"},  # else lines are broken anywhere
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The sources and the contracts, to be spoilt."""
    for source in SOURCES:
        shutil.copytree(ROOT / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_sources_keep_every_contract() -> None:
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in run.stdout


def test_every_contract_is_seen_to_fail() -> None:
    assert {contract for contract, _, _ in BAD_IMPORTS} == set(CONTRACTS)


@pytest.mark.parametrize(("contract", "file", "line"), BAD_IMPORTS, ids=[f"{i[0]}: {i[2]}" for i in BAD_IMPORTS])
def test_a_bad_import_breaks_its_contract(contract: str, file: str, line: str, copy: Path) -> None:
    with (copy / file).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")
    run = lint_imports(copy, "--contract", contract)
    assert run.returncode == 1, run.stdout + run.stderr
    assert "0 kept, 1 broken" in run.stdout, run.stdout
    spoilt = file.split("/", 1)[1].removesuffix(".py").replace("/", ".")
    assert re.search(rf"-\s+{re.escape(spoilt)} -> ", run.stdout), run.stdout

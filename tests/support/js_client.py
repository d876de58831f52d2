"""The official JavaScript client in a process of its own: ``tests/interop/js/client.js`` plays scenarios."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import IO, Any

import pytest

from tests.support.patience import PATIENCE
from tests.support.server import ROOT

JS = ROOT / "tests" / "interop" / "js"
CLIENTS = {"newest": "socket.io-client", "4.0": "sioclient40"}
TRANSPORTS = ("polling", "websocket", "upgrade")

Saw = dict[str, list[Any]]
"""Name to the values that the client told under it, in order."""


def node_program() -> str:
    """The node program, if all packages are there; else the test is skipped, or fails in continuous integration."""
    missing = f"npm install --no-package-lock in {JS}"
    if program := shutil.which("node"):
        check = subprocess.run(
            [program, "client.js", "--check"], cwd=JS, capture_output=True, timeout=PATIENCE, check=True
        )
        if not json.loads(check.stdout):
            return program
    else:
        missing = "install Node.js 18 or newer, then " + missing
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


class JsClient:
    """One node process; what it tells is read line by line."""

    def __init__(self, node: str, settings: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [node, "client.js", json.dumps(settings)], cwd=JS, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.saw: Saw = {}

    def until(self, name: str, times: int = 1) -> None:
        """Read until it has told ``name`` that often."""
        while len(self.saw.get(name, [])) < times:
            line = _pipe(self.process.stdout).readline()
            if not line:
                raise AssertionError(f"saw {self.saw}, not {name}: {_pipe(self.process.stderr).read().decode()}")
            entry = json.loads(line)
            self.saw.setdefault(entry["name"], []).append(entry["value"])

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


@contextlib.contextmanager
def playing(node: str, url: str, scenario: str, client: str, transport: str, **more: Any) -> Iterator[JsClient]:
    """A client that plays a scenario against the server at ``url``."""
    settings = {"scenario": scenario, "url": url, "client": CLIENTS[client], "transport": transport, **more}
    actor = JsClient(node, settings)
    try:
        yield actor
    finally:
        actor.close()


def play(node: str, url: str, scenario: str, client: str, transport: str, **more: Any) -> Saw:
    """What the client saw in a whole scenario."""
    with playing(node, url, scenario, client, transport, **more) as actor:
        actor.until("done")
        return actor.saw

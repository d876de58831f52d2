"""Headless Chromium on the pages of the examples: plays the scenarios in ``tests/interop/browser/*.mjs``."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.support.patience import PATIENCE
from tests.support.programs import missing, program
from tests.support.server import ROOT

BROWSER = ROOT / "tests" / "interop" / "browser"
CHAT = ROOT / "examples" / "chat"
CLIENT = CHAT / "node_modules" / "socket.io-client" / "dist" / "socket.io.min.js"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SCENARIO_PATIENCE = 5 * PATIENCE
"""Seconds for a whole scenario; every single wait in it is shorter."""

Deeds = Mapping[str, Callable[..., None]]
"""What a scenario may ask for, by the first word; they are called with the other words."""


def node_with_playwright() -> str:
    """Node's path; the running test is skipped, or fails in CI, where something is missing."""
    found = shutil.which("node")
    if found is None:
        missing("node", "install Node.js 18 or newer (apt: nodejs)")
    look = [found, "-e", "require.resolve('playwright-core')"]
    if subprocess.run(look, cwd=BROWSER, capture_output=True, check=False).returncode:
        missing("playwright-core", "run `npm install --no-package-lock` in tests/interop/browser")
    return found


def chromium_program() -> str:
    return program(*CHROMIUMS, install="apt install chromium")


def chat_client() -> Path:
    """The client that the chat's page loads."""
    if not CLIENT.exists():
        missing("socket.io-client", "run `npm install --no-package-lock` in examples/chat")
    return CLIENT


class Scenario:
    """Plays one ``.mjs`` file against servers, and does what the file asks for: the ``deeds``, by their names."""

    def __init__(self, urls: Sequence[str], node: str, chromium: str, shots: Path, deeds: Deeds | None = None) -> None:
        self.shots = shots
        self._node = node
        self._deeds = deeds or {}
        self._env = {
            **os.environ,
            **dict(zip(("CHAT_URL", "OTHER_URL"), urls, strict=False)),
            "CHROMIUM": chromium,
            "SHOTS": str(shots),
            "CLIENT": str(CLIENT),
        }

    def play(self, name: str) -> None:
        """Raises AssertionError with all that the browser had to say when the scenario does not succeed."""
        with (
            (self.shots / "errors.txt").open("w+") as errors,
            subprocess.Popen(
                [self._node, str(BROWSER / name)],
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            ) as process,
        ):
            try:
                self._obey(process)
                process.wait(SCENARIO_PATIENCE)
            finally:
                process.kill()
            errors.seek(0)
            assert process.returncode == 0, f"{name}, screenshots in {self.shots}:\n{errors.read()}"

    def _obey(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        for line in process.stdout:  # ends when the scenario does
            word, *others = line.split()
            self._deeds[word](*others)
            process.stdin.write("done\n")
            process.stdin.flush()

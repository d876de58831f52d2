"""A Docker engine for the trial of the containers: the one that runs, or one that is started by hand as root.

with ContainerEngine() as engine:
    engine.docker("ps")
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

import pytest

from tests.support.patience import PATIENCE
from tests.support.services import wait_for

FOLDER = Path("/var/tmp/roomcast-trial")
"""Images are built and kept there, so that a second trial is quicker. A gigabyte or two; remove it at will."""
STORAGE = "ROOMCAST_TRIAL_STORAGE"
"""Variable: the storage driver; ``vfs`` where the kernel has no overlay file system: slow, large, works anywhere."""
START = 6 * PATIENCE
LONG = 90 * PATIENCE
"""Seconds for one command: a build installs everything that a node needs."""


class ContainerEngine:
    """``own``: started here, so there are no images, and none can be pulled; whoever builds makes them."""

    def __init__(self) -> None:
        self.own = False
        self.environment = {**os.environ, "DOCKER_BUILDKIT": "0", "COMPOSE_DOCKER_CLI_BUILD": "0"}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = FOLDER / "dockerd.log"

    def start(self) -> None:
        """Answering when this returns; the running test is skipped where there can be none."""
        client = shutil.which("docker")
        if client is not None and self._answers():
            return
        if shutil.which("dockerd") is None or os.geteuid() != 0:
            pytest.skip("no Docker engine runs, and none can be started: apt install docker.io docker-compose, as root")
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.own = True
        address = f"unix://{FOLDER}/docker.sock"
        self.environment["DOCKER_HOST"] = address
        driver = os.environ.get(STORAGE)
        places = [f"--data-root={FOLDER}/data", f"--exec-root={FOLDER}/exec", f"--pidfile={FOLDER}/docker.pid"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["dockerd", "--host", address, *places, *(["--storage-driver", driver] if driver else [])],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self._answers, self.log, START)

    def close(self) -> None:
        """End the engine, if it is our own; what it has built stays in :data:`FOLDER`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(START)
            self._process = None

    def docker(self, *arguments: str | Path) -> str:
        """What the command prints; AssertionError with its complaints if it fails."""
        return self.run("docker", *arguments)

    def run(self, *command: str | Path, environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
        """Any command, with this engine in its environment."""
        done = subprocess.run(
            command,
            env={**self.environment, **(environment or {})},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONG,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-8_000:]}\n{done.stderr[-8_000:]}"
        return done.stdout

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")[-4_000:] if self._log.exists() else ""

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise AssertionError(f"dockerd ended at once\n{self.log()}")
        command = ["docker", "info"]
        return subprocess.run(command, env=self.environment, capture_output=True, check=False).returncode == 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

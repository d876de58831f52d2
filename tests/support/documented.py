"""Servers started by the very commands that a page of the documentation shows, on a port that was free."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.logged_process import LoggedProcess
from tests.support.patience import PATIENCE
from tests.support.server import START_PATIENCE, accepts, free_port, python_path

PORT = "8000"
"""The port that the page names."""


def program(name: str) -> list[str]:
    """How a program of this environment is called; the test is skipped where it is not installed."""
    if name == "python":
        return [sys.executable, "-W", "ignore::DeprecationWarning"]
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return [found]


@contextlib.contextmanager
def documented(command: str, folder: Path) -> Iterator[tuple[str, LoggedProcess]]:
    """Run it in ``folder``, on another port: (its URL, the process). It is ended as an operator does (SIGTERM)."""
    port = str(free_port())
    for file in folder.glob("serve_*.py"):
        file.write_text(file.read_text().replace(PORT, port))
    name, *arguments = shlex.split(command.replace(PORT, port))
    if name == "gunicorn":  # by default it listens on that port
        arguments += ["--bind", f"127.0.0.1:{port}", "--no-control-socket"]
    log = folder / "server.log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), python_path()]), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*program(name), *arguments], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    running = LoggedProcess(process, log, START_PATIENCE)
    try:
        running.waits_until(lambda: accepts(int(port)))
        yield f"http://127.0.0.1:{port}", running
    except BaseException as failure:
        failure.add_note(f"{command} wrote:\n{running.output()}")
        raise
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2 * PATIENCE)
        process.kill()
        process.wait()

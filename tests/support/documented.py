"""Servers started by the very commands that a page of the documentation shows, on a port that was free."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.logged_process import LoggedProcess
from tests.support.patience import PATIENCE
from tests.support.programs import missing
from tests.support.server import ALONE, HOST, START_PATIENCE, accepts, free_port, python_path

PORT = "8000"
"""The port that the page names."""


def program(name: str) -> list[str]:
    """How a program of this environment is called; where it is not installed see ``missing``."""
    if name == "python":
        return [sys.executable, "-W", "ignore::DeprecationWarning"]
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    return [found or missing(name, "make setup")]


def ported(command: str, port: str) -> list[str]:
    """The arguments of the command, with this port, and none that another process of the machine may have."""
    name, *arguments = shlex.split(command.replace(PORT, port))
    if name == "gunicorn":  # by default it listens on that port
        arguments += ["--bind", f"{HOST}:{port}", "--no-control-socket"]
    if name == "roomcast":
        arguments += ALONE
    return [*program(name), *arguments]


@contextlib.contextmanager
def documented(
    command: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    ends: signal.Signals = signal.SIGTERM,
) -> Iterator[tuple[str, LoggedProcess]]:
    """Run it in ``folder``, on another port: (its URL, the process). It is ended as an operator does, by that signal.

    Processes of its own that it leaves behind are killed. ``environment`` is added to that of this process; its
    ``PYTHONPATH`` comes before what this process can import.
    """
    port = str(free_port())
    for file in folder.glob("serve_*.py"):
        file.write_text(file.read_text().replace(PORT, port))
    added = dict(environment or {})
    paths = [path for path in (added.pop("PYTHONPATH", ""), str(folder), python_path()) if path]
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", **added, "PYTHONPATH": os.pathsep.join(paths)}
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ported(command, port),
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    running = LoggedProcess(process, log, START_PATIENCE)
    try:
        running.waits_until(lambda: accepts(int(port)))
        yield f"http://{HOST}:{port}", running
    except BaseException as failure:
        failure.add_note(f"{command} wrote:\n{running.output()}")
        raise
    finally:
        if process.poll() is None:
            process.send_signal(ends)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(2 * PATIENCE)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

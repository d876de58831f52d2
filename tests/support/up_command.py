"""``roomcast up`` as a process of its own, and its nodes as it tells of them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import msgspec

from tests.support.forwarders import short_folder
from tests.support.logged_process import LOOK_AGAIN, LoggedProcess
from tests.support.patience import PATIENCE
from tests.support.server import python_path

HEARS_SIGNALS = """
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Starts Python anew as a shell in a terminal does: whoever runs the tests may have these ignored, as nohup does."""

ANYWHERE = ("--port", "0", "--metrics-port", "0")


class UpNode(msgspec.Struct, frozen=True):
    """A node that is ready, as it was announced."""

    number: int
    pid: int
    url: str
    metrics_port: int


def start_up(
    folder: Path, arguments: Sequence[str], output: int | IO[bytes], env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """The command in a process group of its own; ``output`` takes standard error as well."""
    return subprocess.Popen(
        [sys.executable, "-c", HEARS_SIGNALS, "-m", "roomcast", "up", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": python_path(), **env},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_until_written(path: Path, size: int) -> None:
    """Until that file is there and has so many bytes."""
    deadline = time.monotonic() + 4 * PATIENCE
    while not path.is_file() or path.stat().st_size < size:
        assert time.monotonic() < deadline, f"{path.name} never got {size} bytes"
        time.sleep(LOOK_AGAIN)


class Up(LoggedProcess):
    """One ``roomcast up`` whose output is a file. ``broker_folder`` is where it makes its temporary files."""

    def __init__(self, folder: Path, broker_folder: Path, arguments: tuple[str, ...], env: Mapping[str, str]) -> None:
        self.broker_folder = broker_folder
        path = folder / "up.txt"
        with path.open("wb") as log:
            process = start_up(folder, arguments, log, {"TMPDIR": str(broker_folder), **env})
        super().__init__(process, path, 4 * PATIENCE)

    def ready(self, number: int, peers: int = 1, restarts: int = 0) -> UpNode:
        """Wait until this node is ready, sees so many others, and was restarted so often."""
        again = f", {restarts} restarts?" if restarts else ""
        found = self.wrote(
            rf"node {number} is ready, pid (\d+), (http://\S+), metrics on port (\d+), \d+ clients?, broker up, "
            rf"{peers} peers?{again}\n"
        )
        return UpNode(number, int(found[1]), found[2], int(found[3]))

    def interrupt(self) -> None:
        """What a terminal does at Ctrl-C: a signal to the whole process group in front of it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def ended(self) -> int:
        """Its exit code."""
        return self.process.wait(4 * PATIENCE)


@contextlib.contextmanager
def up(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Up]:
    """The command for the length of a ``with`` block; its output is noted on any exception that leaves the block."""
    with short_folder() as broker_folder:
        command = Up(folder, broker_folder, arguments, env or {})
        try:
            yield command
        except BaseException as failure:
            failure.add_note(command.output())
            raise
        finally:
            command.process.kill()
            command.process.wait()
            for pid in re.findall(r"pid (\d+)", command.output()):
                wait_until_gone(int(pid))


def wait_until_gone(pid: int) -> None:
    """Wait until there is no such process. One that has ended, and that nobody has asked for, is none any more."""
    deadline = time.monotonic() + 4 * PATIENCE
    while _exists(pid):
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(LOOK_AGAIN)


def _exists(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    if os.path.isdir("/proc/self"):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

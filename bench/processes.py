"""Servers as child processes, pinned to one processor; the generator has the other."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.contestants import Contestant

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
START_PATIENCE = 15.0
STOP_PATIENCE = 5.0
# A server that listens may still have things to do; it is left alone for this long (seconds).
SETTLE = 0.5


def pinned(processor: int, command: list[str]) -> list[str]:
    """The command, kept on one processor where ``taskset`` is there and the machine has two."""
    taskset = shutil.which("taskset")
    if taskset is None or len(available()) < 2:
        return command
    return [taskset, "--cpu-list", str(available()[processor]), *command]


def available() -> list[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class Running(contextlib.AbstractContextManager["Running"]):
    """A server from ``with`` to its end; ``port`` is where it listens, ``pids`` all its processes.

    ``environment`` is added to that of this process.
    """

    def __init__(self, contestant: Contestant, environment: Mapping[str, str] | None = None) -> None:
        self.name = contestant.name
        self.port = free_port()
        command = [part.replace("{port}", str(self.port)) for part in contestant.command]
        self._process = subprocess.Popen(
            pinned(0, command),
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._await_listening()
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self) -> list[int]:
        """Its processes, whose processor time and memory are the server's."""
        return list(_family(self._process.pid))

    def stop(self) -> None:
        """End it, by force when it does not go by itself."""
        for sign, patience in ((signal.SIGTERM, STOP_PATIENCE), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
                return

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _await_listening(self) -> None:
        deadline = time.monotonic() + START_PATIENCE
        while not _accepts(self.port):
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with status {self._process.returncode} before it listened")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not listen within {START_PATIENCE:g} s")
            time.sleep(0.1)
        time.sleep(SETTLE)


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # that thread has ended
            for child in children.read_text().split():
                yield from _family(int(child))


def free_port() -> int:
    """A port of the loopback that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False

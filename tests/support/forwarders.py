"""A ZeroMQ forwarder as a process of its own, which tests may kill, stop for a while, and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zmq

from roomcast_brokers.backends.zmq.frames import PROTOCOL, Count, Welcome, encode
from tests.support.patience import PATIENCE
from tests.support.server import python_path


class ForwarderProcess:
    """One address, and one process there at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        """For clients; a port that was left open is known after the first start, and stays the same."""
        self._process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Listening when this returns. Nothing to do if it runs."""
        if self._process is not None:
            return
        process = subprocess.Popen(
            [sys.executable, "-m", "roomcast_brokers.backends.zmq", self.url],
            env={**os.environ, "PYTHONPATH": python_path()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        self.url = process.stdout.readline().strip() or self.url
        self._process = process
        assert process.poll() is None

    def terminate(self) -> int:
        """End it as an operator does; its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Stop it where it is, its connections open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            return process.wait(PATIENCE)
        finally:
            assert process.stdout is not None
            process.stdout.close()


class HalfHeartedForwarder:
    """Welcomes one client, accepts some of its messages, and then either says nothing more or goes."""

    def __init__(self, accepts: int, goes: bool) -> None:
        self._accepts = accepts
        self._goes = goes
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.RCVTIMEO, int(1_000 * PATIENCE))
        self.port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> str:
        self._thread.start()
        return f"zmq+tcp://127.0.0.1:{self.port}"

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._context.destroy()

    def _run(self) -> None:
        client, _ = self._router.recv_multipart()
        self._router.send_multipart([client, encode(Welcome(PROTOCOL))])
        self._router.recv_multipart()
        self._router.send_multipart([client, encode(Count(self._accepts))])
        if self._goes:
            self._router.close()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket; pytest's own are not everywhere."""
    with tempfile.TemporaryDirectory(prefix="rc-") as folder:
        yield Path(folder)


@contextmanager
def forwarding(url: str | None = None) -> Iterator[ForwarderProcess]:
    """A forwarder process for a ``with`` block, started; ipc in a new folder unless ``url`` says otherwise."""
    with short_folder() as folder:
        forwarder = ForwarderProcess(url or f"zmq+ipc://{folder}/broker")
        forwarder.start()
        try:
            yield forwarder
        finally:
            forwarder.kill()

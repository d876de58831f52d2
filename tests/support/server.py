"""Real servers for tests: one child process each, on a port that was free, in the flavours that users run.

    with running_server("tests.interop.interop_app:app", "uvicorn") as server:
        ...  # server.url, server.pid, server.restart()

What the process wrote is added to any failure that passes through ``running_server``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tests.support.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
START_PATIENCE = 3 * PATIENCE
"""Seconds for an interpreter to start and import a web framework on a busy machine."""
PORT_ATTEMPTS = 5
LOOK_AGAIN = 0.02
"""Seconds between two looks at whether a starting server accepts connections."""

ALONE = ("--metrics-port", "-1", "--drain-delay", "0")
"""Options of ``roomcast run`` where nobody watches it; those that follow win."""

Command = Callable[[str, int], list[str]]

BIND = ("--workers", "1", "--no-control-socket", "--bind")

FLAVOURS: Mapping[str, Command] = {
    "fast": lambda app, port: ["roomcast", "run", app, "--host", HOST, "--port", str(port), *ALONE],
    "uvicorn": lambda app, port: ["uvicorn", app, "--host", HOST, "--port", str(port), "--ws", "auto"],
    "hypercorn": lambda app, port: ["hypercorn", app, "--bind", f"{HOST}:{port}"],
    "gunicorn threads": lambda app, port: ["gunicorn", "--threads", "20", *BIND, f"{HOST}:{port}", app],
    "gunicorn gevent": lambda app, port: ["gunicorn", "-k", "gevent", *BIND, f"{HOST}:{port}", app],
    "eventlet": lambda app, port: ["tests.support.eventlet_server", app, str(port)],
    "uwsgi gevent": lambda app, port: ["tests.support.uwsgi_server", app, str(port)],
    "aiohttp": lambda app, port: ["tests.interop.apps.aiohttp_server", app, str(port)],
    "tornado": lambda app, port: ["tests.interop.apps.tornado_server", app, str(port)],
    "sanic": lambda app, port: ["tests.interop.apps.sanic_server", app, str(port)],
}
"""Name of a flavour to the arguments after ``python -m``. What the last three serve: tests/interop/apps/served.py."""


class ServerFailed(AssertionError):
    """The process ended, or accepted no connection, while it was expected to serve. The message holds its output."""


class ServerProcess:
    """One server in a child process. Serves from the end of ``start`` to ``stop`` or ``kill``."""

    def __init__(
        self, app: str, flavour: str, *, env: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
    ) -> None:
        self.app = app
        self.flavour = flavour
        self.port = 0
        self._env = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": python_path(), **(env or {})}
        self._arguments = list(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        descriptor, name = tempfile.mkstemp(prefix="server-", suffix=".log")
        os.close(descriptor)
        self._log = Path(name)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self, port: int | None = None) -> None:
        """Start and wait until it listens. Without ``port``: on a free one, another if somebody was quicker."""
        for attempt in range(PORT_ATTEMPTS):
            self.port = port or free_port()
            self._spawn()
            try:
                return self._wait_until_listening()
            except ServerFailed as failure:
                self.kill()
                if port or attempt + 1 == PORT_ATTEMPTS or "in use" not in str(failure).lower():
                    raise

    def stop(self) -> None:
        """End it as a deployment does (SIGTERM), and by force when it takes longer than patience."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE)
        self.kill()

    def ends(self, by: signal.Signals, patience: float) -> int:
        """Send it this signal, and wait until it has ended; its status."""
        assert self._process is not None, "not started"
        self._process.send_signal(by)
        return self._process.wait(patience)

    def kill(self) -> None:
        """End it without a word to its clients, and what it has started too: gunicorn serves in a child."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self, *, graceful: bool = True) -> None:
        """Stop (or kill) it and start it again on the same port."""
        if graceful:
            self.stop()
        else:
            self.kill()
        self.start(self.port)

    def output(self) -> str:
        """All that it has written so far, from every start; nothing after ``close``, for tests that fail later."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def close(self) -> None:
        """Stop it and forget its output."""
        self.stop()
        self._log.unlink(missing_ok=True)

    def _spawn(self) -> None:
        command = [sys.executable, "-m", *FLAVOURS[self.flavour](self.app, self.port), *self._arguments]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # of its own, so that all of it can be killed at once
            )

    def _wait_until_listening(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_PATIENCE
        while not accepts(self.port):
            if self._process.poll() is not None:
                raise ServerFailed(f"{self} ended with status {self._process.returncode}:\n{self.output()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"{self} did not listen within {START_PATIENCE:g} s:\n{self.output()}")
            time.sleep(LOOK_AGAIN)
        if self._process.poll() is not None:  # somebody else's server answered
            raise ServerFailed(f"{self}: port in use:\n{self.output()}")

    def __repr__(self) -> str:
        return f"<{self.flavour} server of {self.app} on port {self.port}>"


@contextlib.contextmanager
def running_server(
    app: str, flavour: str = "fast", *, env: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> Iterator[ServerProcess]:
    """A server for the length of a ``with`` block; its output is noted on any exception that leaves the block."""
    server = ServerProcess(app, flavour, env=env, arguments=arguments)
    try:
        server.start()
        yield server
    except BaseException as failure:
        failure.add_note(f"{server} wrote:\n{server.output()}")
        raise
    finally:
        server.close()


def free_port() -> int:
    """One that nobody has, at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    return accepts_at(HOST, port)


def accepts_at(host: str, port: int) -> bool:
    """Whether somebody listens at another address of this machine."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


def python_path() -> str:
    """What this interpreter can import, the child can import too, however roomcast was installed."""
    return os.pathsep.join([str(ROOT), *(entry for entry in sys.path if entry)])

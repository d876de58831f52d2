"""Every way to run a server that docs/deployment.md shows, each by its command, with the page's application or another.

A new way is a section of the page with its command, and a row here; what it cannot do, a row of the page's table too.
"""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from tests.support.documented import documented
from tests.support.logged_process import LoggedProcess
from tests.support.pages import write_files
from tests.support.patience import PATIENCE
from tests.support.programs import missing
from tests.support.tree import ROOT

PAGE = ROOT / "docs" / "deployment.md"

WEBSOCKET = "WebSocket"
REASON = "reason `server shutting down`"
HANDLERS = "disconnect handler at the end"
EMPTY = "empty binary data over WebSocket"
STATIC = "`static_files`"
"""What not every way can do, as the page calls it."""

CLOSES_FIRST = "it closes WebSockets before it tells the application that it ends: their reason is `transport close`"

HYPERCORN_ENDS = re.compile(
    r"^Exception in callback StreamReaderProtocol\.connection_made.*?^asyncio\.exceptions\.CancelledError\n",
    re.MULTILINE | re.DOTALL,
)

OF_THE_FRAMEWORK = {STATIC: "the framework serves files itself"}

OLDER_GUNICORN = "gunicorn==25.3.0"
"""The last one that has a worker for eventlet."""


class Way(msgspec.Struct, frozen=True):
    """``cannot`` says what it cannot do and why; ``ends`` is the signal by which an operator ends it."""

    command: str
    asynchronous: bool = False
    cannot: Mapping[str, str] = {}
    ends: signal.Signals = signal.SIGTERM
    older_gunicorn: bool = False

    @property
    def last_reason(self) -> str | None:
        """With which reason the disconnect handlers of WebSockets run when it ends, if they do."""
        if HANDLERS in self.cannot:
            return None
        return "transport close" if REASON in self.cannot else "server shutting down"


FASTEST = "roomcast run"
WAYS: Mapping[str, Way] = {
    FASTEST: Way("roomcast run main:app --port 8000", asynchronous=True),
    "uvicorn": Way("uvicorn main:app --port 8000", asynchronous=True, cannot={REASON: CLOSES_FIRST}),
    "gunicorn, uvicorn worker": Way(
        "gunicorn --workers 1 -k uvicorn_worker.UvicornWorker main:app",
        asynchronous=True,
        cannot={REASON: CLOSES_FIRST},
    ),
    "gunicorn, uvicorn worker, fast path": Way(
        "gunicorn --workers 1 -k fast_worker.FastWorker main:app", asynchronous=True
    ),
    "hypercorn": Way(
        "hypercorn main:app --bind 127.0.0.1:8000 --graceful-timeout 1",
        asynchronous=True,
        cannot={REASON: CLOSES_FIRST},
    ),
    "daphne": Way(
        "daphne --bind 127.0.0.1 --port 8000 main:app",
        asynchronous=True,
        cannot={
            HANDLERS: "it tells the application neither that it starts nor that it ends (ASGI's lifespan)",
            EMPTY: "it sends no message without bytes, and the client waits for that attachment for ever",
        },
    ),
    "aiohttp": Way("python serve_aiohttp.py", asynchronous=True, cannot=OF_THE_FRAMEWORK),
    "Tornado": Way("python serve_tornado.py", asynchronous=True, cannot=OF_THE_FRAMEWORK),
    "Sanic": Way("python serve_sanic.py", asynchronous=True, cannot=OF_THE_FRAMEWORK),
    "gunicorn, threads": Way("gunicorn --workers 1 --threads 20 app:app"),
    "gunicorn, gevent": Way("gunicorn --workers 1 -k gevent app:app"),
    "gevent": Way("python serve_gevent.py"),
    "uWSGI, gevent": Way(
        "uwsgi --http-socket 127.0.0.1:8000 --gevent 100 --gevent-monkey-patch --master --die-on-term"
        " --module uwsgi_app:app"
    ),
    "eventlet": Way("python serve_eventlet.py"),
    "gunicorn, eventlet": Way("gunicorn --workers 1 -k eventlet app:app", older_gunicorn=True),
    "Werkzeug": Way("python serve_werkzeug.py", ends=signal.SIGINT),
    "waitress": Way(
        "python serve_waitress.py",
        ends=signal.SIGINT,
        cannot={WEBSOCKET: "it shows no connection: no upgrade is announced, and a WebSocket is answered 501"},
    ),
}


class Deployed:
    """One of them, serving."""

    def __init__(self, name: str, url: str, running: LoggedProcess) -> None:
        self.name = name
        self.way = WAYS[name]
        self.url = url
        self.running = running

    @property
    def orderly(self) -> str:
        """The path at which one client's handlers run one after another. Coroutines that wait for nothing do anyhow."""
        return "socket.io" if self.way.asynchronous else "orderly.io"

    def output(self) -> str:
        """What it wrote, but for what hypercorn's tasks say under Python 3.11 when they are cancelled."""
        return HYPERCORN_ENDS.sub("", self.running.output())

    def __repr__(self) -> str:
        return f"<{self.name} at {self.url}>"


@contextlib.contextmanager
def deployed(name: str, folder: Path, config: pytest.Config, app: Mapping[str, str]) -> Iterator[Deployed]:
    """Run it in ``folder``, with the files of the page; ``app`` are files that come in the place of the page's."""
    way = WAYS[name]
    write_files(PAGE, folder)
    if way.asynchronous:
        (folder / "gunicorn.conf.py").unlink()  # it is about the blocking server
    for file, text in app.items():
        (folder / file).write_text(text)
    environment = {"PYTHONPATH": str(older_gunicorn(config))} if way.older_gunicorn else {}
    with documented(way.command, folder, environment, way.ends) as (url, running):
        yield Deployed(name, url, running)


def older_gunicorn(config: pytest.Config) -> Path:
    """The folder of a gunicorn with a worker for eventlet, installed there once; another process may do so, too."""
    folder: Path = config.cache.mkdir("older-gunicorn") / OLDER_GUNICORN
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=folder.parent) as half_done:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            try:
                subprocess.run(
                    [*pip, "--target", half_done, OLDER_GUNICORN],
                    check=True,
                    capture_output=True,
                    timeout=6 * PATIENCE,
                )
            except (subprocess.SubprocessError, OSError):
                missing(OLDER_GUNICORN, "let pip reach a package index")
            with contextlib.suppress(OSError):  # the other was first
                Path(half_done).rename(folder)
    return folder

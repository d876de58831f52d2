"""``roomcast run`` as a process of its own, serving an application that is written into its folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.logged_process import LoggedProcess
from tests.support.patience import PATIENCE
from tests.support.server import ALONE, python_path

APP = """
import asyncio, os
import roomcast

sio = roomcast.AsyncServer(cors_allowed_origins="*")

@sio.event
async def echo(sid, value):
    return value

@sio.event
async def loop(sid):
    return type(asyncio.get_running_loop()).__module__

@sio.event
async def carrier(sid):
    return [type(session.link.owner).__name__ for session in sio.eio.sockets.values() if session.link]

@sio.event
def disconnect(sid, reason):
    print("LEFT", reason, flush=True)

@sio.event
async def stubborn(sid):
    await asyncio.sleep(3600)

app = roomcast.ASGIApp(sio, on_shutdown=lambda: print("SHUT DOWN", flush=True))

def make():
    return app

async def bare(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})

def failing():
    raise RuntimeError("start-up fails")

hanging = roomcast.ASGIApp(roomcast.AsyncServer(), on_shutdown=lambda: asyncio.sleep(3600))

broken = roomcast.ASGIApp(roomcast.AsyncServer(), on_startup=failing)
"""


class Command(LoggedProcess):
    """One ``roomcast run``; what it wrote is in ``output()``."""

    def __init__(self, folder: Path, *arguments: str, start: Sequence[str] = ("-m", "roomcast")) -> None:
        path = folder / "output.txt"
        command = [sys.executable, *start, *arguments]
        with path.open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        super().__init__(process, path, 3 * PATIENCE)

    @property
    def base(self) -> str:
        return self.wrote(r"Uvicorn running on (http://127\.0\.0\.1:\d+)")[1]

    @property
    def metrics(self) -> str:
        return self.wrote(r"Metrics and health on (http://127\.0\.0\.1:\d+)/metrics")[1]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        return self.process.wait(3 * PATIENCE)


@contextlib.contextmanager
def running(
    folder: Path, *arguments: str, app: str = "served:app", port: bool = True, start: Sequence[str] = ("-m", "roomcast")
) -> Iterator[Command]:
    """The command for the length of a ``with`` block; its output is noted on any exception that leaves the block."""
    (folder / "served.py").write_text(APP)
    places = ["--port", "0"] if port else []
    command = Command(folder, "run", app, *places, *ALONE, *arguments, start=start)
    try:
        yield command
    except BaseException as failure:
        failure.add_note(command.output())
        raise
    finally:
        command.process.kill()
        command.process.wait()

"""Real child processes, on the event loop that the command has: the one of the standard library."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from roomcast import __version__
from roomcast.supervision.processes import NodeProcess, start_node
from tests.support.patience import PATIENCE
from tests.support.server import python_path

ENVIRONMENT = {**os.environ, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"}

HANGING = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; print('child', flush=True); time.sleep(120)"])
print(os.getpgid(0) == os.getpid(), child.pid, flush=True)
child.wait()
app = None
"""


def on_asyncio(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*arguments: Any, **more: Any) -> None:
        asyncio.run(test(*arguments, **more))

    return run


async def everything(node: NodeProcess) -> bytes:
    parts = []
    while part := await asyncio.wait_for(node.read(), 3 * PATIENCE):
        parts.append(part)
    return b"".join(parts)


@on_asyncio
async def test_it_is_roomcast_and_says_how_it_ended() -> None:
    node = await start_node(["--version"], ENVIRONMENT)
    assert await everything(node) == f"roomcast {__version__}\n".encode()
    assert await node.wait() == 0
    node.terminate()  # too late, and no matter
    node.kill()
    node.close()


@on_asyncio
async def test_errors_come_the_same_way() -> None:
    node = await start_node(["run"], ENVIRONMENT)
    assert b"usage: roomcast run" in await everything(node)
    assert await node.wait() == 2
    node.close()


@on_asyncio
async def test_a_file_of_the_application_does_not_stand_in_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roomcast.py").write_text("print('not ours')")
    monkeypatch.chdir(tmp_path)
    node = await start_node(["--version"], ENVIRONMENT)
    assert (await everything(node)).startswith(b"roomcast ")
    await node.wait()
    node.close()


async def hanging(folder: Path) -> tuple[NodeProcess, int]:
    """A node that never gets beyond importing its application, and has a child; the child's process id."""
    (folder / "hanging.py").write_text(HANGING)
    node = await start_node(["run", "hanging:app", f"--app-dir={folder}", "--port=0", "--stop-at-eof"], ENVIRONMENT)
    seen = b""
    while b"child" not in seen or seen.count(b"\n") < 2:
        seen += await asyncio.wait_for(node.read(), 3 * PATIENCE)
    line = next(line for line in seen.splitlines() if line != b"child")
    leads, child = line.split()
    assert leads == b"True"  # a process group of its own: Ctrl-C does not reach it
    return node, int(child)


@on_asyncio
async def test_killing_reaches_what_it_has_started(tmp_path: Path) -> None:
    node, _ = await hanging(tmp_path)
    node.kill()
    assert await node.wait() == -signal.SIGKILL
    await everything(node)  # ends, so the child that held it open is gone
    node.close()


@on_asyncio
async def test_its_end_is_known_while_others_hold_its_output(tmp_path: Path) -> None:
    node, child = await hanging(tmp_path)
    os.kill(node.pid, signal.SIGKILL)
    assert await asyncio.wait_for(node.wait(), PATIENCE) == -signal.SIGKILL
    node.close()
    os.kill(child, signal.SIGKILL)


@on_asyncio
async def test_terminating_is_a_signal_to_itself_alone(tmp_path: Path) -> None:
    node, child = await hanging(tmp_path)
    node.terminate()
    os.kill(child, signal.SIGKILL)  # it still lives, and is what the node waits for
    assert await asyncio.wait_for(node.wait(), 3 * PATIENCE) in (0, 3)
    assert b"Shutting down" in await everything(node)
    node.close()

"""How the end of a process is noticed: for real, in programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any

import pytest

from roomcast_emitter import exits
from tests.support.patience import PATIENCE
from tests.support.server import python_path
from tests.support.tree import ROOT

PROGRAM = """
import sys, threading
{imports}
from tests.support.senders import FakeBroker

broker = FakeBroker()

def tell():
    # what the broker has when everything else is over
    sys.stderr.write(" ".join(event.decode() for event in broker.events()) + f" marks: {{len(broker.marks())}}")
    sys.stderr.flush()

{body}
"""

QUEUES = """
def work():
    broker.up = False
    emitter = broker.emitter()
    emitter.emit("e", "late")
    del emitter  # nobody keeps it
    threading.Timer(0.2, lambda: setattr(broker, "up", True)).start()
"""


def told_at_the_end(imports: str, body: str) -> str:
    """What a program writes to stderr; it must end well."""
    program = PROGRAM.format(imports=imports, body=textwrap.dedent(QUEUES) + textwrap.dedent(body))
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=4 * PATIENCE, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stderr


def test_a_process_that_ends_delivers_what_waits() -> None:
    # `tell` was registered before roomcast_emitter was imported, so it is called after it.
    told = told_at_the_end("import atexit; atexit.register(lambda: tell())", "work()")
    assert '["e","late"] marks: 1' in told


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_of_multiprocessing_delivers_what_waits(method: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    # A spawned child runs a file, not a text.
    folder = tmp_path_factory.mktemp("program")
    body = f"""
    def child():
        multiprocessing.util.Finalize(None, tell, exitpriority=1)  # later than ours
        work()

    if __name__ == "__main__":
        process = multiprocessing.get_context({method!r}).Process(target=child)
        process.start()
        process.join()
        sys.exit(process.exitcode)
    """
    path = folder / "program.py"
    imports = "import multiprocessing, multiprocessing.util"
    path.write_text(PROGRAM.format(imports=imports, body=textwrap.dedent(QUEUES) + textwrap.dedent(body)))
    run = subprocess.run(
        [sys.executable, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert '["e","late"] marks: 1' in run.stderr


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes that the end was noticed; forgets where it was watched for."""
    found: list[str] = []
    monkeypatch.setattr(exits, "_leave", lambda: found.append("left"))
    monkeypatch.setattr(exits, "_watched_in", None)
    return found


class Signal:
    """As Celery's."""

    def __init__(self) -> None:
        self.connected: list[tuple[object, dict[str, object]]] = []

    def connect(self, function: object, **options: object) -> None:
        self.connected.append((function, options))


def test_celerys_signal_is_used_where_celery_is_loaded(left: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    signals = types.ModuleType("celery.signals")
    shutdown = Signal()
    monkeypatch.setattr(signals, "worker_process_shutdown", shutdown, raising=False)
    monkeypatch.setitem(sys.modules, "celery.signals", signals)
    exits.watch()
    exits.watch()
    ((function, options),) = shutdown.connected
    assert options == {"weak": False, "dispatch_uid": "roomcast_emitter"}
    assert callable(function)
    function(sender="worker", pid=1, exitcode=0, signal=shutdown)
    assert left == ["left"]


def test_the_end_of_a_child_of_multiprocessing_is_watched_for_in_each(
    left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    util = types.ModuleType("multiprocessing.util")
    finalized: list[tuple[Any, ...]] = []

    def finalize(owner: object, call: Callable[[], None], exitpriority: int) -> None:
        finalized.append((owner, call, exitpriority))

    monkeypatch.setattr(util, "Finalize", finalize, raising=False)
    monkeypatch.setitem(sys.modules, "multiprocessing.util", util)
    exits.watch()
    exits.watch()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    exits.watch()
    assert [(owner, priority) for owner, _, priority in finalized] == [(None, 10)] * 2
    finalized[0][1]()
    assert left == ["left"]


def test_what_is_not_loaded_is_not_loaded_for_this(left: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("celery", "celery.signals", "multiprocessing.util"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    exits.watch()
    assert "celery.signals" not in sys.modules
    assert "multiprocessing.util" not in sys.modules


def test_a_process_that_has_nothing_to_lose_just_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exits, "_leave", None)
    exits._left()

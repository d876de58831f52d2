"""A Celery worker as a process of its own: a real pool of forked processes, over the example's or other tasks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.support.patience import PATIENCE
from tests.support.programs import module
from tests.support.server import python_path
from tests.support.services import Process, RedisServer, wait_for
from tests.support.tree import ROOT

LONG = 3 * PATIENCE
"""A worker imports a good deal before it says that it is ready."""


class CeleryWorker(Process):
    """``celery worker`` with a prefork pool. ``queue`` is Celery's broker and result backend, ``broker`` the cluster's.

    Workers of one ``database`` of the queue share its tasks.
    """

    def __init__(
        self,
        queue: RedisServer,
        broker: RedisServer,
        tasks: str = "examples.celery_worker.tasks",
        *,
        database: int = 0,
        concurrency: int = 2,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._tasks = tasks
        self._options = ["--pool", "prefork", "--concurrency", str(concurrency), "--loglevel", "info", *options]
        url = f"{queue.url.removesuffix('/0')}/{database}"
        self.environment = {
            "CELERY_BROKER_URL": url,
            "CELERY_RESULT_BACKEND": url,
            "ROOMCAST_BROKER": broker.url,
        }

    def start(self) -> None:
        module("celery")
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        command = [sys.executable, "-m", "celery", "-A", self._tasks, "worker", *quiet, *self._options]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self._ready, lambda: f"the worker is not ready\n{self.log()}", LONG)

    def _ready(self) -> bool:
        assert self.running, f"the worker ended at once\n{self.log()}"
        return " ready." in self.log()

    def warm_shutdown(self) -> None:
        """Ask it to finish what it does, and wait until it has ended."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(LONG)

    def results(self, task: str, *calls: Sequence[Any], count: int = 1) -> list[Any]:
        """What the task returned for each of the calls, ``count`` times over; all are queued before one is waited for.

        Asked in a process of its own: Celery leaves connections behind, which would fail some later test.
        """
        program = (
            "import json, sys, importlib\n"
            f"task = importlib.import_module({self._tasks!r}).{task}\n"
            f"waiting = [task.delay(*call) for call in json.loads(sys.stdin.read()) for _ in range({count})]\n"
            f"print(json.dumps([result.get(timeout={LONG}, disable_sync_subtasks=False) for result in waiting]))\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=self._environment(),
            input=json.dumps(calls),
            capture_output=True,
            text=True,
            timeout=2 * LONG,
            check=False,
        )
        assert run.returncode == 0, f"{run.stderr}\n{self.log()}"
        found: list[Any] = json.loads(run.stdout)
        return found

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment, "PYTHONPATH": python_path(), "C_FORCE_ROOT": "1"}

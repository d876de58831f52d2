"""The record of threads."""

from __future__ import annotations

import queue
import threading
from typing import Any

import pytest

from roomcast.drivers.blocking.threads import THREADS, start
from tests.support.patience import PATIENCE


def test_a_task_gets_its_arguments_and_can_be_waited_for() -> None:
    got: list[Any] = []
    task = start(lambda *args, **keywords: got.append((args, keywords)), 1, 2, a=3)
    task.join(PATIENCE)
    assert got == [((1, 2), {"a": 3})]
    assert task.daemon


def test_waiting_for_a_task_has_an_end() -> None:
    gate = threading.Event()
    task = start(gate.wait)
    task.join(0)
    gate.set()
    task.join(PATIENCE)
    assert not task.is_alive()


def test_what_servers_and_applications_are_given() -> None:
    with THREADS.make_lock() as _, THREADS.make_lock():
        event = THREADS.make_event()
    event.set()
    assert event.wait(PATIENCE)
    waiting = THREADS.make_queue()
    waiting.put(1)
    assert waiting.get() == 1
    with pytest.raises(queue.Empty):
        THREADS.queue_class(maxsize=3).get_nowait()
    THREADS.sleep(0)
    THREADS.make_selector().close()
    assert THREADS.clock() <= THREADS.clock()


def test_a_lock_may_be_taken_again_by_who_has_it() -> None:
    lock = THREADS.make_lock()
    with lock, lock:
        pass

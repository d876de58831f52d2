"""The record of gevent's greenlets, in this process: nothing of it is patched for that."""

from __future__ import annotations

import queue
from typing import Any

import pytest

from roomcast.drivers.blocking.gevent import GEVENT, GEVENT_UWSGI, start
from tests.support.patience import PATIENCE


def test_a_task_gets_its_arguments_and_can_be_waited_for() -> None:
    got: list[Any] = []
    start(lambda *args, **keywords: got.append((args, keywords)), 1, 2, a=3).join(PATIENCE)
    assert got == [((1, 2), {"a": 3})]


def test_greenlets_wait_for_each_other() -> None:
    event, waiting, lock = GEVENT.make_event(), GEVENT.make_queue(), GEVENT.make_lock()
    order: list[str] = []

    def other() -> None:
        order.append("waits")
        assert event.wait(PATIENCE)
        with lock, lock:
            waiting.put("done")

    task = start(other)
    GEVENT.sleep(0)
    order.append("goes on")
    event.set()
    assert waiting.get() == "done"
    task.join(PATIENCE)
    assert order == ["waits", "goes on"]
    event.clear()
    assert not event.wait(0)


def test_its_queue_says_that_it_is_empty_as_all_do() -> None:
    with pytest.raises(queue.Empty):
        GEVENT.queue_class(3).get_nowait()


def test_the_two_modes() -> None:
    assert (GEVENT.async_mode, GEVENT_UWSGI.async_mode) == ("gevent", "gevent_uwsgi")
    GEVENT.make_selector().close()

"""The record of eventlet's green threads, in a process of its own: eventlet has one loop for each thread, for good."""

from __future__ import annotations

from tests.support.own_process import run_quietly

PROGRAM = """
import queue
from roomcast.drivers.blocking.eventlet import EVENTLET, start

got = []
start(lambda *args, **keywords: got.append((args, keywords)), 1, 2, a=3).join(10)
assert got == [((1, 2), {"a": 3})], got

event, waiting, lock = EVENTLET.make_event(), EVENTLET.make_queue(), EVENTLET.make_lock()
order = []


def other():
    order.append("waits")
    assert event.wait(10)
    with lock, lock:
        waiting.put("done")


task = start(other)
EVENTLET.sleep(0)
task.join(0)
order.append("goes on")
event.set()
assert waiting.get() == "done"
task.join()
assert order == ["waits", "goes on"], order
event.clear()
assert not event.wait(0)


def fails():
    raise ValueError("nobody's business")


start(fails).join(10)

try:
    EVENTLET.queue_class(3).get_nowait()
except queue.Empty:
    pass
else:
    raise AssertionError("not empty")
EVENTLET.make_selector().close()
assert EVENTLET.async_mode == "eventlet"
print("good")
"""


def test_green_threads() -> None:
    ended = run_quietly(PROGRAM)
    assert ended.stdout == "good\n", ended.stderr
    assert "nobody's business" in ended.stderr

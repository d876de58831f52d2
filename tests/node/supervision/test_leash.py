"""The end of standard input is the end of whoever started us."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from roomcast.supervision.leash import END_PATIENCE, watch
from tests.support.patience import PATIENCE


class Deeds:
    """Notes what is done instead of doing it."""

    def __init__(self) -> None:
        self.done: list[str | float] = []

    def send(self, number: int) -> None:
        self.done.append(signal.Signals(number).name)

    def wait(self, seconds: float) -> None:
        self.done.append(seconds)


def test_at_the_end_it_drains_and_then_dies() -> None:
    reading, writing = os.pipe()
    deeds = Deeds()
    thread = threading.Thread(target=watch, args=(reading, 5.0 + END_PATIENCE, deeds.send, deeds.wait))
    thread.start()
    os.write(writing, b"whatever somebody types")
    assert not deeds.done
    os.close(writing)
    thread.join(PATIENCE)
    os.close(reading)
    assert deeds.done == ["SIGTERM", 20.0, "SIGKILL"]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "empty"])
def test_nobody_at_the_other_end(closed: bool) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    if closed:
        os.close(reading)
    deeds = Deeds()
    watch(reading, 1.0, deeds.send, deeds.wait)
    assert deeds.done == ["SIGTERM", 1.0, "SIGKILL"]
    if not closed:
        os.close(reading)

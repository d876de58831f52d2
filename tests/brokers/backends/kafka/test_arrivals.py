from __future__ import annotations

import threading

import pytest

from roomcast_brokers.backends.kafka import arrivals as module
from roomcast_brokers.backends.kafka.arrivals import Arrivals
from tests.support.patience import PATIENCE


def test_messages_and_confirmations_in_their_order() -> None:
    arrivals = Arrivals()
    arrivals.put([("a", b"1")])
    arrivals.confirm({"b": 7})
    arrivals.put([("a", b"2"), ("b", b"3")])
    assert arrivals.take(3) == [("a", b"1"), ("b", 7), ("a", b"2")]
    assert arrivals.take(3) == [("b", b"3")]
    assert arrivals.take(3) == []


@pytest.mark.parametrize(("messages", "size"), [(2, 1_000), (1_000, 10)])
def test_who_reads_waits_for_who_tells(messages: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGES", messages)
    monkeypatch.setattr(module, "MAX_BYTES", size)
    arrivals = Arrivals()
    count, told = 500, 0

    def read() -> None:
        for number in range(count):
            arrivals.wait_for_room()
            arrivals.put([("a", b"%05d" % number)])

    reading = threading.Thread(target=read)
    reading.start()
    while told < count:
        for _, payload in arrivals.take(10):
            assert payload == b"%05d" % told
            told += 1
    reading.join(PATIENCE)
    assert not reading.is_alive()


def test_at_the_end_nobody_waits_and_what_is_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGES", 1)
    arrivals = Arrivals()
    arrivals.put([("a", b"1")])
    waiting = threading.Thread(target=arrivals.wait_for_room)
    waiting.start()
    arrivals.end()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert arrivals.take(9) == [("a", b"1")]

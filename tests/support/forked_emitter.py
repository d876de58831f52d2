"""A program that emits, forks, and emits in the child; it prints as JSON what was found. For tests of the emitter.

``python -m tests.support.forked_emitter WAY``: ``hooks`` (as Python forks), ``no-hooks`` (as a server forks that calls
none of Python's hooks), ``locked`` (while another thread is in the middle of a send), ``queued`` (while the broker is
away).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from roomcast_emitter import Emitter, Outcome, delivery, emitter
from tests.support.senders import FakeBroker


def state(broker: FakeBroker, sender: Any) -> dict[str, Any]:
    return {
        "origins": [[envelope.origin.name, envelope.origin.epoch.hex()] for envelope in broker.envelopes()],
        "connections": broker.connections,
        "forgotten": sender.forgotten,
        "living": len(delivery._living),
    }


def in_child(mine: Emitter, broker: FakeBroker, sender: Any, queued: Any) -> dict[str, Any]:
    broker.up = True
    broker.gate.set()
    forgotten_at_once = sender.forgotten
    receipt = mine.emit("e", "child")
    return {
        **state(broker, sender),
        "forgotten_at_once": forgotten_at_once,
        "delivered": receipt.delivered,
        "events": [event.decode() for event in broker.events()],
        "queued": None if queued is None else queued.wait(None),
        "waiting": mine.counts().waiting,
        "flushed": mine.flush(),
    }


def main(way: str) -> None:
    broker = FakeBroker()
    mine = broker.emitter()
    assert mine.emit("e", "parent").delivered
    sender = mine._delivery()._sender
    queued = None
    if way == "no-hooks":
        emitter._emitters.clear()  # what the hooks look at
    if way == "locked":
        broker.gate.clear()
        attempts = broker.attempts
        threading.Thread(target=mine.emit, args=("e", "stuck"), daemon=True).start()
        broker.until(lambda broker: broker.attempts > attempts)
    if way == "queued":
        broker.up = False
        broker.cut()
        queued = mine.emit("e", "queued")
        assert queued.outcome is Outcome.QUEUED
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(in_child(mine, broker, sender, queued)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = json.loads(pipe.read())
    os.waitpid(child, 0)
    broker.up = True
    broker.gate.set()
    own = mine.emit("e", "parent again").wait() is Outcome.DELIVERED and mine.flush()
    sys.stdout.write(json.dumps({"child": told, "parent": {**state(broker, sender), "delivered": own}}))


if __name__ == "__main__":
    main(sys.argv[1])

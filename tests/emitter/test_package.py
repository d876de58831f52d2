"""What the package exports, and what importing it brings along."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import roomcast_emitter
from tests.support.tree import ROOT

HEAVY = ("asyncio", "celery", "kombu", "multiprocessing", "prometheus_client", "redis", "roomcast", "uvicorn", "zmq")


def test_public_names() -> None:
    assert set(roomcast_emitter.__all__) == {
        "AsyncEmitter", "AsyncReceipt", "Counts", "Emitter", "EmitterClosedError", "EmitterError",
        "NoBrokerError", "NotDeliveredError", "OnlyWritesError", "Outcome", "Receipt", "__version__",
        "AsyncAioPikaManager", "AsyncKafkaManager", "AsyncKombuManager", "AsyncRedisManager", "AsyncZmqManager",
        "KafkaManager", "KombuManager", "RedisManager", "ZmqManager",
    }  # fmt: skip
    for name in roomcast_emitter.__all__:
        assert getattr(roomcast_emitter, name)
    assert roomcast_emitter.AsyncEmitter.__name__ == "AsyncEmitter"
    with pytest.raises(AttributeError, match="has no attribute 'AsyncEmiter'"):
        roomcast_emitter.AsyncEmiter  # noqa: B018  # type: ignore[attr-defined]  # the point of the test


def loaded(code: str) -> set[str]:
    """Which of the heavy modules a program has loaded at its end."""
    script = f"{code}\nimport sys, json; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout))


def test_importing_it_loads_neither_a_server_nor_an_event_loop_nor_a_broker() -> None:
    assert loaded("import roomcast_emitter") == set()
    assert loaded("from roomcast_emitter import Emitter, RedisManager") == set()


def test_emitting_loads_no_server() -> None:
    code = "from tests.support.senders import FakeBroker; FakeBroker().emitter().emit('e')"
    assert not loaded(code) & {"roomcast", "uvicorn", "redis", "zmq", "celery", "prometheus_client"}

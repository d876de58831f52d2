"""The Celery example for real: a worker with a pool of forked processes, two Redis servers, nodes, clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from examples.celery_worker.app import JOB_LENGTH, watch
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import State
from roomcast_brokers.messages import Emit, Envelope, Mark, Marks
from roomcast_brokers.registry import create
from tests.support.celery_worker import CeleryWorker
from tests.support.listeners import Heard, RecordingListener
from tests.support.python_client import PythonClient
from tests.support.server import running_server
from tests.support.services import RedisServer

JOB = "j" * JOB_LENGTH
CHANNELS = Channels("socketio")
LEFT = CHANNELS.room("/", "leaving")
READER = EnvelopeCodec(new_origin("test"), "socketio")
LEAVING = 2.0
"""Seconds; a process of Celery's pool that has nothing to do any more is gone after one."""


@pytest.fixture(scope="module")
def queue() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def worker(queue: RedisServer, broker: RedisServer) -> Iterator[CeleryWorker]:
    with CeleryWorker(queue, broker) as worker:
        yield worker


@pytest.mark.timeout(180)
def test_browsers_see_how_far_a_task_is(worker: CeleryWorker) -> None:
    app, environment = "examples.celery_worker.app:app", worker.environment
    with (
        running_server(app, "fast", env=environment) as one,
        running_server(app, "fast", env=environment) as other,
        PythonClient("threads") as starts,
        PythonClient("threads") as watches,
    ):
        starts.connect(one.url)
        watches.connect(other.url)
        job = starts.do("call", "start")
        assert len(job) == JOB_LENGTH
        assert watches.do("call", "watch", job) is True
        seen = [starts.hear("progress")[0] for _ in range(3)]
        assert seen == [{"job": job, "done": done, "of": 20} for done in (1, 2, 3)]
        first = watches.hear("progress")[0]
        assert watches.hear("progress")[0]["done"] == first["done"] + 1
        assert watches.do("call", "watch", JOB) is True
        assert worker.results("crunch", [JOB, 2]) == [{"delivered": 2}]
        while (report := watches.hear("progress")[0])["job"] != JOB:
            pass
        assert report == {"job": JOB, "done": 1, "of": 2}


async def test_only_names_of_jobs_can_be_watched() -> None:
    for wrong in (None, 7, "", "short", [JOB]):
        assert await watch("sid", wrong) is False


@pytest.mark.timeout(180)
def test_a_task_returns_what_became_of_it(worker: CeleryWorker) -> None:
    assert worker.results("tell", ["e", {"n": 1}, "room"], count=20) == ["delivered"] * 20


@pytest.mark.timeout(180)
async def test_a_process_that_leaves_delivers_what_waits_and_says_how_far_it_was(
    queue: RedisServer, broker: RedisServer
) -> None:
    """Celery's pool leaves through os._exit, past atexit."""
    listener = RecordingListener()
    hears = create(broker.url)
    hears.open(listener)
    for channel in (LEFT, CHANNELS.everyone):
        hears.subscribe(channel, 1)
    await listener.until(lambda heard: heard.state is State.UP)
    one_task_each = CeleryWorker(queue, broker, database=1, concurrency=1, options=["--max-tasks-per-child", "1"])
    try:
        await asyncio.to_thread(one_task_each.start)
        # Who is connected stays so; a new process is not let in.
        await asyncio.to_thread(broker.config_set, "requirepass", "secret")
        outcome = await asyncio.to_thread(one_task_each.results, "tell", ["e", None, "leaving", 0.0])
        assert outcome == ["queued"]
        await asyncio.to_thread(threading.Event().wait, LEAVING)
        await asyncio.to_thread(broker.config_set, "requirepass", "")
        await listener.until(lambda heard: marks_of(emitted(heard), heard))
    finally:
        await hears.close()
        await asyncio.to_thread(one_task_each.close)
    (envelope,) = emitted(listener)
    assert isinstance(decode_body(envelope.operations[0]), Emit)
    assert {(mark.channel, mark.last) for mark in marks_of([envelope], listener)} == {(LEFT, 1)}


def emitted(heard: Heard) -> list[Envelope]:
    return [READER.decode(LEFT, payload) for payload in heard.payloads(LEFT)]


def marks_of(envelopes: list[Envelope], heard: Heard) -> list[Mark]:
    """What the origins of these have told about their numbers; others are there as well."""
    told = [READER.decode(CHANNELS.everyone, payload) for payload in heard.payloads(CHANNELS.everyone)]
    bodies = [
        decode_body(each.operations[0]) for each in told if each.origin in [envelope.origin for envelope in envelopes]
    ]
    return [mark for body in bodies if isinstance(body, Marks) for mark in body.marks]


@pytest.mark.timeout(180)
def test_a_worker_that_is_told_to_stop_stops(queue: RedisServer, broker: RedisServer) -> None:
    worker = CeleryWorker(queue, broker, database=2)
    with worker:
        assert worker.results("tell", ["e", None, "room"]) == ["delivered"]
        worker.warm_shutdown()
        assert "Traceback" not in worker.log()

"""What the page about emitters shows runs as it stands there, over a real Redis."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any

import pytest

from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import State
from roomcast_brokers.messages import Emit
from roomcast_brokers.registry import create
from roomcast_emitter import Outcome
from tests.support.listeners import RecordingListener
from tests.support.pages import blocks, write_files
from tests.support.patience import PATIENCE
from tests.support.server import python_path
from tests.support.services import RedisServer
from tests.support.tree import ROOT

PAGE = ROOT / "docs" / "emitter.md"
FILES = {"nightly.py", "tasks.py", "realtime.py", "hooks.py", "incumbent.py"}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert set(write_files(PAGE, tmp_path)) == FILES
    return tmp_path


@asynccontextmanager
async def hearing(redis: RedisServer, cluster: str, *rooms: str) -> AsyncIterator[RecordingListener]:
    """Listens as a node with members of these rooms would."""
    channels, listener, broker = Channels(cluster), RecordingListener(), create(redis.url)
    broker.open(listener)
    for channel in (channels.everyone, channels.node("aB3x"), *(channels.room("/", room) for room in rooms)):
        broker.subscribe(channel, 1)
    await listener.until(lambda heard: heard.state is State.UP)
    try:
        yield listener
    finally:
        await broker.close()


def events(listener: RecordingListener, cluster: str) -> list[str]:
    codec = EnvelopeCodec(new_origin("test"), cluster)
    envelopes = [codec.decode(channel, payload) for channel, payload in listener.messages]
    bodies = [decode_body(operation) for envelope in envelopes for operation in envelope.operations]
    return [body.args.decode() for body in bodies if isinstance(body, Emit)]


def run(folder: Path, *command: str, url: str, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={
            **os.environ,
            "BROKER": url,
            "ROOMCAST_BROKER": url,
            "ROOMCAST_CLUSTER": "shop",
            "PYTHONPATH": python_path(),
        },
        input=stdin,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_a_script(redis: RedisServer, folder: Path) -> None:
    async with hearing(redis, "shop", "job-17", "lobby") as heard:
        await asyncio.to_thread(run, folder, "nightly.py", url=redis.url)
        await heard.until(lambda heard: len(events(heard, "shop")) == 3)  # the fourth is for another namespace
    assert events(heard, "shop") == [
        '["prices",{"as of":"today"}]',
        '["progress",{"done":3,"of":10}]',
        '["news","two","arguments"]',
    ]


async def test_tasks(redis: RedisServer, folder: Path) -> None:
    program = (
        "import tasks; print(tasks.resize.run('cat.png')); tasks.announce.run('hello'); tasks.emitter.close(); "
        "tasks.urgent.close()"
    )
    async with hearing(redis, "shop", "picture:cat.png") as heard:
        assert await asyncio.to_thread(run, folder, "-c", program, url=redis.url) == "delivered\n"
        await heard.until(lambda heard: len(events(heard, "shop")) == 5)
    assert events(heard, "shop")[-1] == '["announcement","hello"]'


def test_a_web_worker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    committed: list[Any] = []
    module = run_path(str(folder / "realtime.py"))
    module["order_saved"](SimpleNamespace(id=7, customer_id=3), SimpleNamespace(on_commit=committed.append))
    (later,) = committed
    assert later.keywords == {"to": "customer:3"}
    module["emitter"].close()


async def test_an_event_loop(redis: RedisServer, folder: Path) -> None:
    module = run_path(str(folder / "hooks.py"))
    async with hearing(redis, "shop", "lobby") as heard:
        assert await module["main"](redis.url) is Outcome.DELIVERED
        await heard.until(lambda heard: events(heard, "shop"))
    assert events(heard, "shop") == ['["news","from an event loop"]']


async def test_the_incumbents_names(redis: RedisServer, folder: Path) -> None:
    module = run_path(str(folder / "incumbent.py"))
    async with hearing(redis, "shop", "job-17") as heard:
        await asyncio.to_thread(module["report"], redis.url)
        await heard.until(lambda heard: heard.payloads(Channels("shop").node("aB3x")))
    assert events(heard, "shop") == ['["progress",3]']


async def test_the_shell(redis: RedisServer, tmp_path: Path) -> None:
    async with hearing(redis, "shop", "lobby") as heard:
        words = ["emit", "news", '{"text": "hello"}', '"second argument"', "--to", "lobby"]
        told = await asyncio.to_thread(run, tmp_path, "-m", "roomcast", *words, url=redis.url)
        assert told == "delivered to the broker: news to lobby in /\n"
        words = ["released", "-", "--all"]
        told = await asyncio.to_thread(run, tmp_path, "-m", "roomcast_emitter", *words, url=redis.url, stdin="[1]")
        assert told == "delivered to the broker: released to everybody in /\n"
        await heard.until(lambda heard: len(events(heard, "shop")) == 2)
    assert events(heard, "shop") == ['["news",{"text":"hello"},"second argument"]', '["released",[1]]']


def test_what_the_page_says_is_what_is_there() -> None:
    text = PAGE.read_text("utf-8")
    assert all(f"`{outcome}`" in text for outcome in Outcome)
    assert set(blocks(PAGE)) == FILES

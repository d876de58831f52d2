"""``roomcast run`` told to stop: what its clients, its application and whoever watches it hear of it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time  # time: how long another process takes to end
from pathlib import Path

import httpx
import pytest

from tests.support.api_client import PollingClient, WebSocketClient, request
from tests.support.logged_process import LOOK_AGAIN
from tests.support.patience import PATIENCE
from tests.support.run_command import running

AT_ONCE = ("--drain-seconds", "0.1")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_and_tells_everybody_to_come_back(tmp_path: Path, number: int) -> None:
    async with contextlib.AsyncExitStack() as leaving:
        command = leaving.enter_context(running(tmp_path, *AT_ONCE))
        websocket = await WebSocketClient.open(command.base)
        leaving.push_async_callback(websocket.aclose)
        await websocket.connect()
        polling, idle = await PollingClient.open(command.base), await PollingClient.open(command.base)
        leaving.push_async_callback(polling.aclose)
        leaving.push_async_callback(idle.aclose)
        await polling.connect()
        waiting = asyncio.ensure_future(polling.closed())
        closing = asyncio.ensure_future(websocket.closed())
        began = time.monotonic()
        assert await asyncio.to_thread(command.stop, number) == 0
        assert time.monotonic() - began < PATIENCE
        assert await closing == 1012
        with contextlib.suppress(httpx.TransportError):  # nobody listens any more: clients come back
            assert await waiting == 400
        assert command.output().count("LEFT server shutting down") == 2
        assert "SHUT DOWN" in command.output()
        assert "Traceback" not in command.output()


async def test_a_client_comes_back_to_the_next_process(tmp_path: Path) -> None:
    with running(tmp_path, *AT_ONCE) as command:
        port = command.base.rsplit(":", 1)[1]
        client = await WebSocketClient.open(command.base)
        closing = asyncio.ensure_future(client.closed())
        assert await asyncio.to_thread(command.stop) == 0
        await closing
        await client.aclose()
    with running(tmp_path, "--port", port, port=False) as command:
        again = await WebSocketClient.open(command.base)
        await again.connect()
        await again.aclose()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_waits_for_nobody_and_ends_in_good_order(tmp_path: Path, second: int) -> None:
    with running(tmp_path, "--drain-delay", "600", "--drain-seconds", "600") as command:
        client = await WebSocketClient.open(command.base)
        await client.connect()
        assert await client.call("echo", 1, id=1) == "431[1]"
        await client.event("stubborn")
        assert await client.call("echo", 2, id=2) == "432[2]"
        command.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(command.wrote, "Draining: not ready any more")
        command.process.send_signal(second)
        assert await client.closed() == 1012
        assert await asyncio.to_thread(command.ended) == 0
        assert "LEFT server shutting down" in command.output()
        assert "SHUT DOWN" in command.output()
        await client.aclose()


async def test_a_third_signal_ends_it_as_it_stands(tmp_path: Path) -> None:
    with running(tmp_path, app="served:hanging") as command:
        assert command.base
        command.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(command.wrote, "Waiting for application shutdown")
        while command.process.poll() is None:
            command.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(LOOK_AGAIN)
        assert command.process.returncode == -signal.SIGTERM


async def test_while_it_stops_it_is_not_ready(tmp_path: Path) -> None:
    with running(tmp_path, "--metrics-port", "0", "--drain-seconds", "3") as command:
        clients = [await WebSocketClient.open(command.base) for _ in range(3)]
        metrics = command.metrics
        command.process.send_signal(signal.SIGTERM)
        seen: set[int] = set()
        with contextlib.suppress(httpx.TransportError):
            while 503 not in seen:
                seen.add((await request("GET", metrics, "/readyz")).status_code)
        assert 503 in seen
        for client in clients:
            await client.aclose()
        assert await asyncio.to_thread(command.ended) == 0

"""``roomcast up`` as a process: two nodes that are one server, what happens when one dies, and that none is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from tests.support.api_client import Client, WebSocketClient, request
from tests.support.forwarders import forwarding
from tests.support.up_command import ANYWHERE, Up, UpNode, up, wait_until_gone

APP = """
import asyncio, os
import roomcast

sio = roomcast.AsyncServer()

@sio.event
async def say(sid, text):
    await sio.emit("said", text)

@sio.event
async def where(sid):
    return [sio.cluster.tag, len(sio.cluster.nodes()), os.environ.get("ROOMCAST_CLUSTER")]

@sio.event
async def stubborn(sid):
    await asyncio.sleep(3600)

app = roomcast.ASGIApp(sio)
"""

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The application's."""
    (tmp_path / "served.py").write_text(APP)
    return tmp_path


class Visitors:
    """One client on each node."""

    def __init__(self, leaving: contextlib.AsyncExitStack) -> None:
        self._leaving = leaving

    async def at(self, node: UpNode) -> Client:
        client = await WebSocketClient.open(node.url)
        self._leaving.push_async_callback(client.aclose)
        await client.connect()
        return client


async def both_ready(command: Up) -> list[UpNode]:
    return [await asyncio.to_thread(command.ready, number) for number in (1, 2)]


async def hear_each_other(first: Client, second: Client, text: str) -> None:
    said = f'42["said","{text}"]'
    await first.event("say", text)
    assert await first.receive() == said
    assert await second.receive() == said


async def test_two_nodes_are_one_server_and_one_that_is_killed_comes_back(folder: Path) -> None:
    arguments = ("served:app", "--nodes", "2", "--tags", "n001,n002", "--drain-seconds", "0.2", *ANYWHERE)
    async with contextlib.AsyncExitStack() as leaving:
        command = leaving.enter_context(up(folder, *arguments))
        visitors = Visitors(leaving)
        one, two = await both_ready(command)
        assert (await request("GET", f"http://127.0.0.1:{two.metrics_port}", "/readyz")).json() == {"status": "ready"}
        first, second = await visitors.at(one), await visitors.at(two)
        assert (first.sid[:4], second.sid[:4]) == ("n001", "n002")
        await hear_each_other(first, second, "from one to two")
        await hear_each_other(second, first, "and back")

        os.kill(two.pid, signal.SIGKILL)
        assert await second.closed() is None
        await asyncio.to_thread(command.wrote, r"node 2 is down \(ended by SIGKILL\)")
        again = await asyncio.to_thread(command.ready, 2, 1, 1)
        assert again.pid != two.pid
        assert (again.url, again.metrics_port) == (two.url, two.metrics_port)
        third = await visitors.at(again)
        assert third.sid.startswith("n002")
        await hear_each_other(first, third, "welcome back")
        await hear_each_other(third, first, "thanks")

        command.interrupt()
        assert await asyncio.to_thread(command.ended) == 0
        assert [await client.closed() for client in (first, third)] == [1012, 1012]
        assert list(command.broker_folder.iterdir()) == []
        for node in (one, two, again):
            wait_until_gone(node.pid)
        output = command.output()
        assert output.count("Shutting down") >= 2
        assert "Traceback" not in output
        assert "up     | stopping: the nodes drain for 0.2 s; once more kills them" in output


async def test_no_node_outlives_the_command_and_clients_are_told(folder: Path) -> None:
    async with contextlib.AsyncExitStack() as leaving:
        command = leaving.enter_context(up(folder, "served:app", "--drain-seconds", "0.2", *ANYWHERE))
        nodes = await both_ready(command)
        client = await Visitors(leaving).at(nodes[0])
        command.process.kill()
        assert await client.closed() == 1012
        for node in nodes:
            await asyncio.to_thread(wait_until_gone, node.pid)


async def test_the_second_signal_kills(folder: Path) -> None:
    async with contextlib.AsyncExitStack() as leaving:
        command = leaving.enter_context(up(folder, "served:app", "--nodes", "1", "--drain-seconds", "60", *ANYWHERE))
        node = await asyncio.to_thread(command.ready, 1, 0)
        client = await Visitors(leaving).at(node)
        await client.event("stubborn")
        command.process.terminate()
        await asyncio.to_thread(command.wrote, "node 1 is draining")
        command.process.terminate()
        assert await asyncio.to_thread(command.ended) == 130
        wait_until_gone(node.pid)


async def test_a_broker_and_a_cluster_of_ones_own(folder: Path) -> None:
    async with contextlib.AsyncExitStack() as leaving:
        broker = leaving.enter_context(forwarding())
        arguments = ("served:app", "--nodes", "1", "--cluster", "shop", *ANYWHERE)
        one = leaving.enter_context(up(folder, *arguments, "--broker", broker.url, "--tags", "n001"))
        assert await asyncio.to_thread(one.wrote, r"up     \| 1 node of served:app on http://\S+; broker zmq\+ipc://\n")
        other_folder = folder / "other"
        other_folder.mkdir()
        more = (*arguments, "--app-dir", str(folder), "--tags", "n002")
        other = leaving.enter_context(up(other_folder, *more, env={"ROOMCAST_BROKER": broker.url}))
        client = await Visitors(leaving).at(await asyncio.to_thread(one.ready, 1, 1))
        await asyncio.to_thread(other.ready, 1, 1)
        assert await client.call("where", id=1) == '431[["n001",2,"shop"]]'
        assert list(one.broker_folder.iterdir()) == list(other.broker_folder.iterdir()) == []


def test_an_application_that_cannot_be_had_ends_it_and_says_why(folder: Path) -> None:
    (folder / "broken.py").write_text("raise RuntimeError('the database has moved')")
    with up(folder, "broken:app", *ANYWHERE) as command:
        assert command.ended() == 3
        last = command.output().rpartition("roomcast: ")[2]
        assert "ended 3 times before it was ready (exit code 1); its last lines:\n" in last
        assert last.endswith("    RuntimeError: the database has moved\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--nodes", "65"], "--nodes: 1 to 64 nodes, not 65"),
        (["--tags", "n001"], "--tags: 2 nodes need 2 tags"),
        (["--metrics-port", "-1"], "--metrics-port: roomcast up reads the metrics"),
        (["--broker", "reddis://localhost"], "--broker: no broker serves reddis://; did you mean redis://?"),
        (["--broker", "memory://"], "--broker: memory:// is for one process"),
        (["--broker", "redis://secret@host:port/x"], "--broker: "),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from roomcast.cli import main

    assert main(["up", "served:app", *ANYWHERE, *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"roomcast: {says}")
    assert said.out == ""
    assert "secret" not in said.err

"""The gauges of a node, by clients without sockets."""

from __future__ import annotations

import threading
from typing import Any

import roomcast
from roomcast.core.counters import Counters
from roomcast.core.gauges import measure
from roomcast.engine import EngineServer
from roomcast.exposition.metrics import METRICS
from tests.support.counting import CountingLoop, Crowd, run
from tests.support.inprocess import Node, Way, eventually


def reading(counters: Counters, name: str) -> Any:
    """A metric as it is scraped."""
    (metric,) = (metric for metric in METRICS if metric.name == f"roomcast_{name}")
    return metric.read(counters)


def test_nobody_is_there() -> None:
    for counters in (roomcast.AsyncServer().counters, EngineServer().counters):
        assert reading(counters, "clients") == {"polling": 0, "websocket": 0}
        assert (reading(counters, "sockets"), reading(counters, "outbox_bytes")) == (0, 0)


def test_clients_and_their_namespaces() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer(namespaces="*")
        peers = await Crowd(sio).join(3)
        peers[0].sends("40/second,")
        assert reading(sio.counters, "clients") == {"polling": 0, "websocket": 3}
        assert reading(sio.counters, "sockets") == 4
        peers[0].vanishes()
        await sio.sleep(0)
        assert reading(sio.counters, "clients") == {"polling": 0, "websocket": 2}
        assert reading(sio.counters, "sockets") == 2

    run(scenario)


def test_who_is_still_connecting_is_no_socket_yet() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer()
        gate = loop.create_future()

        @sio.event(namespace="/slow")
        async def connect(sid: str, environ: Any) -> None:
            await gate

        (peer,) = await Crowd(sio).join(1)
        peer.sends("40/slow,")
        assert reading(sio.counters, "sockets") == 1
        gate.set_result(None)
        for _ in range(4):
            await sio.sleep(0)
        assert reading(sio.counters, "sockets") == 2

    run(scenario)


def test_what_waits_until_the_turn_is_over() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = roomcast.AsyncServer()
        await Crowd(sio).join(2)
        await sio.emit("e", "x" * 100)
        each = len('42["e",""]') + 100 + 2
        assert reading(sio.counters, "outbox_bytes") == 2 * each
        assert reading(sio.counters, "outbox_bytes") == 2 * each  # looking changes nothing
        await sio.sleep(0)
        assert reading(sio.counters, "outbox_bytes") == 0

    run(scenario)


async def test_polling_clients_and_what_waits_for_them(flavour: Way) -> None:
    sio = roomcast.AsyncServer()
    async with Node(sio, flavour) as node:
        client = await node.connect(transport="polling")
        await sio.emit("e", "x" * 1_000)
        await sio.sleep(0)
        assert reading(sio.counters, "clients") == {"polling": 1, "websocket": 0}
        assert reading(sio.counters, "outbox_bytes") > 1_000
        assert await client.receive() == f'42["e","{"x" * 1_000}"]'
        assert reading(sio.counters, "outbox_bytes") == 0
        await sio.eio.disconnect()  # it lingers until its next GET
        assert reading(sio.counters, "clients") == {"polling": 0, "websocket": 0}


async def test_what_a_transport_holds_back_counts(flavour: Way) -> None:
    sio = roomcast.AsyncServer(max_backlog_bytes=100_000_000)
    async with Node(sio, flavour) as node:
        await node.connect(transport="websocket", receive_buffer=4_096)
        for _ in range(40):
            await sio.emit("e", "x" * 1_000_000)
            await sio.sleep(0)
        assert reading(sio.counters, "outbox_bytes") > 1_000_000


async def test_scraped_in_a_thread_while_clients_come_and_go() -> None:
    sio = roomcast.AsyncServer()
    failed: list[BaseException] = []
    ending = threading.Event()

    def scrape() -> None:
        while not ending.is_set():
            try:
                for name in ("clients", "sockets", "outbox_bytes"):
                    reading(sio.counters, name)
            except BaseException as error:
                failed.append(error)

    scraper = threading.Thread(target=scrape)
    scraper.start()
    try:
        crowd = Crowd(sio)
        for _ in range(5):
            for peer in await crowd.join(10):
                peer.vanishes()
            await sio.emit("e", 1)
        await eventually(lambda: not sio.environ)
    finally:
        ending.set()
        scraper.join()
    assert failed == []


async def test_bare_engine_io_has_no_sockets() -> None:
    eio = EngineServer()
    fresh = Counters()
    measure(fresh, eio.engine)
    assert reading(fresh, "sockets") == 0

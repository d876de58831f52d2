"""Nodes of one cluster for tests: processes of their own, or servers of a thread of this process, with one interface.

    with ProcessNodes("redis://127.0.0.1:6379", count=3) as nodes:
        ...  # nodes[0].url, await nodes[0].metrics(), nodes[0].log(), nodes.kill(0)

All run tests/cluster/application.py. Whoever wants to know what a node has done reads its metrics or its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, Self, TypeVar

import uvloop

import roomcast
from tests.cluster.application import build
from tests.support.fault_cluster import Metrics
from tests.support.inprocess import Way, serve
from tests.support.patience import PATIENCE
from tests.support.raw_http import request
from tests.support.server import ServerProcess
from tests.support.services import wait_for

T = TypeVar("T")

APPLICATION = "tests.cluster.application:make"
BLOCKING_APPLICATION = "tests.cluster.blocking_application:app"
GUNICORN_ARGUMENTS = ("--config", "python:tests.cluster.gunicorn_settings")
METRICS_LINE = re.compile(r"Metrics and health on (http://127\.0\.0\.1:\d+)/metrics")


class ClusterNode(ABC):
    """One node that runs. ``tag`` is its name in the cluster; ``threads``: what its clients ask is done side by side,
    in no order, even what one client asks.
    """

    threads = False

    def __init__(self, tag: str) -> None:
        self.tag = tag

    @property
    @abstractmethod
    def url(self) -> str:
        """Where its clients come."""

    @property
    @abstractmethod
    def metrics_url(self) -> str:
        """Where its metrics and health are."""

    @abstractmethod
    def log(self) -> str:
        """What it has written so far; of a server in this process, nothing."""

    async def metrics(self) -> Metrics:
        """Its metrics, read now."""
        return Metrics((await request(f"{self.metrics_url}/metrics")).text)

    async def readiness(self) -> dict[str, Any]:
        """What ``/readyz`` says now, and its status code."""
        response = await request(f"{self.metrics_url}/readyz")
        found: dict[str, Any] = json.loads(response.body)
        return {**found, "code": response.status}


class Nodes(Protocol):
    """Several of one cluster, which all join it with the same options. ``ordered``: what a node sends on different
    channels of the broker arrives in that order.
    """

    ordered: bool

    def __getitem__(self, index: int) -> ClusterNode: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[ClusterNode]: ...

    def close(self) -> None:
        """End all of them."""


def random_tags(count: int) -> list[str]:
    return [secrets.token_hex(2) for _ in range(count)]


def new_cluster() -> str:
    """A name that no other test has."""
    return f"test-{secrets.token_hex(4)}"


# --- processes --------------------------------------------------------------------------------------------------------


class ProcessNode(ClusterNode):
    """One ``roomcast run``, or a blocking server; ``kind`` is a flavour of :mod:`tests.support.server`."""

    def __init__(self, tag: str, kind: str, environment: Mapping[str, str]) -> None:
        super().__init__(tag)
        self.kind = kind
        self.threads = kind == "gunicorn threads"
        env = {**environment, "ROOMCAST_TAG": tag}
        if kind == "fast":
            self.server = ServerProcess(
                APPLICATION, kind, env=env, arguments=["--factory", "--metrics-port", "0", "--drain-seconds", "0.1"]
            )
        else:
            arguments = GUNICORN_ARGUMENTS if kind.startswith("gunicorn") else ()
            self.server = ServerProcess(BLOCKING_APPLICATION, kind, env=env, arguments=arguments)

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def metrics_url(self) -> str:
        found = METRICS_LINE.findall(self.log())
        assert found, self.log()
        return str(found[-1])

    def log(self) -> str:
        return self.server.output()

    def start(self) -> None:
        """Serving, and its metrics too, when this returns."""
        before = len(METRICS_LINE.findall(self.log()))
        self.server.start()
        wait_for(lambda: len(METRICS_LINE.findall(self.log())) > before, self.log)

    def kill(self) -> None:
        """End it with ``kill -9``."""
        self.server.kill()

    def stop(self) -> None:
        """End it with SIGTERM."""
        self.server.stop()


class ProcessNodes(list[ProcessNode]):
    """Processes: ``count`` of ``roomcast run``, or one of each of ``kinds``. ``options`` are those of the server;
    ``cluster`` is a new one unless it is named.
    """

    ordered = True

    def __init__(
        self,
        broker: str,
        count: int,
        *,
        cluster: str | None = None,
        options: Mapping[str, Any] | None = None,
        kinds: Sequence[str] = (),
    ) -> None:
        self.cluster = cluster or new_cluster()
        environment = {
            "ROOMCAST_BROKER": broker,
            "ROOMCAST_CLUSTER": self.cluster,
            "CLUSTER_OPTIONS": json.dumps(options or {}),
        }
        kinds = kinds or ["fast"] * count
        super().__init__(
            ProcessNode(tag, kind, environment) for tag, kind in zip(random_tags(len(kinds)), kinds, strict=True)
        )

    def start(self) -> None:
        """All at once: an interpreter takes a second to import all that."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(ProcessNode.start, self))

    def close(self) -> None:
        for node in self:
            node.server.kill()
            node.server.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# --- servers of this process ------------------------------------------------------------------------------------------


class LoopThread:
    """An event loop in a thread, for servers that outlive the loop of one test."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nodes", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it there and wait for its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(3 * PATIENCE)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


class ThreadNode(ClusterNode):
    """A server object, served by uvicorn."""

    def __init__(self, tag: str, sio: roomcast.AsyncServer) -> None:
        super().__init__(tag)
        self.sio = sio
        self._url = ""
        self._metrics_port = 0
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        return self._url

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self._metrics_port}"

    def log(self) -> str:
        return ""

    async def start(self) -> None:
        self._url = await self._stack.enter_async_context(serve(roomcast.ASGIApp(self.sio), Way()))
        listener = await self.sio.serve_metrics(0)
        self._metrics_port = listener.port
        self._stack.push_async_callback(listener.close)

    async def stop(self) -> None:
        await self._stack.aclose()


class ThreadServers(list[ThreadNode]):
    """Servers by their tags, however they were made, in one thread beside the tests."""

    ordered = True

    def __init__(self, servers: Mapping[str, roomcast.AsyncServer]) -> None:
        super().__init__(ThreadNode(tag, sio) for tag, sio in servers.items())
        self._thread = LoopThread()

    def start(self) -> None:
        for node in self:
            self._thread.run(node.start())

    def close(self) -> None:
        for node in reversed(self):
            self._thread.run(node.stop())
        self._thread.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ThreadNodes(ThreadServers):
    """``count`` servers in one process; otherwise as :class:`ProcessNodes`."""

    def __init__(
        self, broker: str, count: int, *, cluster: str | None = None, options: Mapping[str, Any] | None = None
    ) -> None:
        self.cluster = cluster or new_cluster()
        joining = {"broker": broker, "cluster": self.cluster, "drain_seconds": 0.1, **(options or {})}
        super().__init__({tag: build(tag=tag, **joining) for tag in random_tags(count)})

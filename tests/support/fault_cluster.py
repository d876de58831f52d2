"""Nodes of one cluster, each a process of its own, that tests kill, freeze and cut off from their Redis.

    with FaultCluster(nodes=3) as cluster:
        ...  # cluster.nodes[0].freeze(), cluster.nodes[1].proxy.swallow(), cluster.redis.restart()

Each node reaches Redis through a proxy of its own. All methods block but those that are coroutines.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import msgspec

from tests.support.raw_http import Exchange
from tests.support.server import ServerProcess
from tests.support.services import RedisServer, wait_for
from tests.support.tcp_proxy import TcpProxy

APPLICATION = "tests.faults.application:app"
PUBLISHES, SUBSCRIBES = b"PUBLISH\r\n", b"SUBSCRIBE\r\n"
"""What tells a node's two connections apart (:meth:`~tests.support.tcp_proxy.TcpProxy.swallow`'s ``marker``)."""

_SAMPLE = re.compile(r"^(roomcast_\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


class Metrics:
    """What a node's ``/metrics`` said."""

    def __init__(self, text: str) -> None:
        self._samples = {(name, labels): float(value) for name, labels, value in _SAMPLE.findall(text)}

    def __getitem__(self, name: str) -> int:
        """The value of ``roomcast_<name>``; where it has labels, the sum."""
        found = [value for (full, _), value in self._samples.items() if full == f"roomcast_{name}"]
        assert found, f"there is no metric {name}"
        return round(sum(found))

    def of(self, name: str, label: str) -> int:
        """The value for one label, as ``of("cluster_dropped_total", "key")``."""
        found = [
            v for (full, labels), v in self._samples.items() if full == f"roomcast_{name}" and f'"{label}"' in labels
        ]
        assert len(found) == 1, f"{name}{{{label}}}: {len(found)} values"
        return round(found[0])


class Readiness(msgspec.Struct, frozen=True):
    """What ``/readyz`` said: ``ready``, ``degraded`` or ``unready``, and why."""

    code: int
    status: str
    reasons: tuple[str, ...] = ()


class FaultNode:
    """One ``roomcast run``. ``proxy`` is its way to Redis; None: it goes there directly."""

    def __init__(self, redis_url: str, proxy: TcpProxy | None, environment: Mapping[str, str]) -> None:
        self.proxy = proxy
        self._redis_url = redis_url
        self._environment = environment
        self._metrics = ""
        self.frozen = False
        self.alive = False
        self.server = self._new_server()

    def _new_server(self) -> ServerProcess:
        environment = {"ROOMCAST_BROKER": self._redis_url, **self._environment}
        return ServerProcess(APPLICATION, "fast", env=environment, arguments=["--metrics-port", "0"])

    @property
    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        """Serving when this returns, whether there is a broker or not."""
        self.server.close()
        self.server = self._new_server()
        self.server.start()
        self.alive = True
        pattern = r"Metrics and health on (http://127\.0\.0\.1:\d+)/metrics"
        wait_for(lambda: re.search(pattern, self.log()), self.log)
        found = re.search(pattern, self.log())
        assert found is not None
        self._metrics = found[1]

    def kill(self) -> None:
        """End it with ``kill -9``."""
        self.thaw()
        self.alive = False
        self.server.kill()

    def stop(self) -> None:
        """End it with SIGTERM."""
        self.thaw()
        self.alive = False
        self.server.stop()

    def freeze(self) -> None:
        """Stop it where it is; its connections stay."""
        os.kill(self.server.pid, signal.SIGSTOP)
        self.frozen = True

    def thaw(self) -> None:
        if self.frozen:
            self.frozen = False
            os.kill(self.server.pid, signal.SIGCONT)

    def close(self) -> None:
        self.thaw()
        self.alive = False
        self.server.kill()
        self.server.close()

    def log(self) -> str:
        return self.server.output()

    async def metrics(self) -> Metrics:
        """``/metrics``, read now."""
        response = await (await Exchange.begin(f"{self._metrics}/metrics")).response()
        return Metrics(response.text)

    async def readiness(self) -> Readiness:
        """``/readyz``, read now."""
        response = await (await Exchange.begin(f"{self._metrics}/readyz")).response()
        said = response.body
        body = json.loads(said)
        return Readiness(response.status, body["status"], tuple(body.get("reasons", ())))


class FaultCluster:
    """A Redis, ``nodes`` nodes, and (``proxied``) a proxy for each. ``options`` are those of the server."""

    def __init__(
        self,
        nodes: int = 3,
        *,
        redis: RedisServer | None = None,
        proxied: bool = True,
        name: str = "",
        options: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._owns_redis = redis is None
        self.redis = redis or RedisServer()
        self.nodes: list[FaultNode] = []
        self._count = nodes
        self._proxied = proxied
        self._environment = {"FAULTS_OPTIONS": json.dumps(options or {}), **(environment or {})}
        if name:
            self._environment["ROOMCAST_CLUSTER"] = name

    def start(self, *, redis: bool = True) -> None:
        """Start everything; with ``redis`` False all but Redis."""
        if redis:
            self.redis.start()
        self.nodes = [self._new_node() for _ in range(self._count)]
        self._start(self.nodes)

    def _new_node(self) -> FaultNode:
        url = self.redis.url
        if not self._proxied:
            return FaultNode(url, None, self._environment)
        proxy = TcpProxy(self.redis.port)
        proxy.start()
        return FaultNode(url.replace(f":{self.redis.port}/", f":{proxy.port}/"), proxy, self._environment)

    def _start(self, nodes: Iterable[FaultNode]) -> None:
        """All at once: an interpreter takes a second to import all that."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(FaultNode.start, nodes))

    def mend(self) -> None:
        """Redis runs, nothing is frozen or cut off any more; who was killed stays dead."""
        self.redis.start()
        for node in self.nodes:
            if node.proxy is not None:
                node.proxy.heal()
            node.thaw()

    def repair(self) -> None:
        """As :meth:`mend`, and all nodes run."""
        self.mend()
        self._start([node for node in self.nodes if not node.alive])

    def close(self) -> None:
        for node in self.nodes:
            node.close()
            if node.proxy is not None:
                node.proxy.close()
        if self._owns_redis:
            self.redis.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.asynccontextmanager
    async def running(self, *, redis: bool = True) -> AsyncIterator[Self]:
        """As ``with``, without blocking the loop; with an exception that leaves the block stands what nodes wrote."""
        try:
            await asyncio.to_thread(self.start, redis=redis)
            yield self
        except BaseException as failure:
            failure.add_note(self.logs())
            raise
        finally:
            await asyncio.to_thread(self.close)

    def logs(self) -> str:
        """What the nodes wrote."""
        return "\n".join(f"--- node {number} wrote:\n{node.log()}" for number, node in enumerate(self.nodes))

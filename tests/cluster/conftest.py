"""Clusters that stand for the whole run, one on each back end; every test brings its own clients."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.contract.redis_services import RedisService
from tests.contract.services import MemoryService, Service
from tests.contract.zmq_services import ZmqService
from tests.support.cluster_nodes import Nodes, ProcessNodes, ThreadNodes

NODES = 3
BACK_ENDS: dict[str, tuple[type[Service], type[ThreadNodes] | type[ProcessNodes]]] = {
    "memory": (MemoryService, ThreadNodes),
    "zmq": (ZmqService, ProcessNodes),
    "redis": (RedisService, ProcessNodes),
}


class Standing:
    """Brokers and clusters, started when the first test wants them."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._services: dict[str, Service] = {}
        self._nodes: dict[str, ThreadNodes | ProcessNodes] = {}

    def service(self, back_end: str) -> Service:
        """The broker of that kind; it runs."""
        if back_end not in self._services:
            service = self._services[back_end] = BACK_ENDS[back_end][0]()
            self._stack.callback(service.close)
            service.start()
        return self._services[back_end]

    def nodes(self, back_end: str) -> ThreadNodes | ProcessNodes:
        """Three nodes on it."""
        if back_end not in self._nodes:
            self._nodes[back_end] = self.more_nodes(self._stack, back_end, NODES)
        return self._nodes[back_end]

    def more_nodes(
        self, stack: contextlib.ExitStack, back_end: str, count: int, **more: Any
    ) -> ThreadNodes | ProcessNodes:
        """A cluster for one test, for as long as ``stack`` is open."""
        nodes: ThreadNodes | ProcessNodes = BACK_ENDS[back_end][1](self.service(back_end).url(), count, **more)
        stack.enter_context(nodes)
        return nodes

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def standing() -> Iterator[Standing]:
    standing = Standing()
    yield standing
    standing.close()


@pytest.fixture(params=BACK_ENDS)
def back_end(request: pytest.FixtureRequest) -> str:
    """The name of a back end; a test with it runs on each."""
    name: str = request.param
    return name


@pytest.fixture
def nodes(standing: Standing, back_end: str) -> Nodes:
    """Three nodes of one cluster, which other tests use too."""
    return standing.nodes(back_end)


@pytest.fixture
def password() -> str:
    """A key for a cluster of its own."""
    return secrets.token_hex(16)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a test that failed stands what the nodes wrote."""
    report = yield
    nodes = getattr(item, "funcargs", {}).get("nodes")
    if report.failed and nodes is not None:
        for node in nodes:
            report.sections.append((node.tag, node.log()[-5_000:]))
    return report

"""Clusters that stand for the whole run, one on each back end; every test brings its own clients."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.contract.services import SERVICES, Service
from tests.support.cluster_nodes import Nodes, ProcessNodes, ThreadNodes

NODES = 3
BACK_ENDS = ("memory", "zmq", "redis", "aiopika", "aiopika-durable", "kombu-amqp", "kombu-redis", "kafka")
"""Names of services of the contract suite."""
SLOW = frozenset({"aiopika", "kombu-amqp", "kombu-redis", "kafka"})
"""Slow to start: of these, tests that are marked ``smoke`` run always, the others with the long ones."""
LONG = frozenset({"aiopika-durable"})
"""All of these run with the long ones."""
UNORDERED = frozenset({"kafka"})
"""Where channels keep no order among each other."""

THREADS, GREENLETS = "gunicorn threads", "gunicorn gevent"
TURNS = {
    "mixed": ("fast", THREADS, GREENLETS, "fast"),
    "threads-first": (THREADS, "fast", "fast", GREENLETS),
    "gevent-first": (GREENLETS, "fast", THREADS, "fast"),
}
"""Servers of all three kinds in one cluster. Most tests ask the first node, so each kind has its turn to be that."""
GREEN = ("eventlet", GREENLETS, "fast")
"""What may wait in greenlets alone, beside one that has nothing to do with them."""
ALL_GREEN = {f"{service}-green": (service, GREEN) for service in BACK_ENDS if service != "memory"}
"""Tests that are marked ``smoke`` show that each back end can do it; test_green.py has the one that is not here."""
ALL_TURNS = {
    f"{service}-{turn}": (service, kinds)
    for service in ("redis", "aiopika", "kombu-amqp")
    for turn, kinds in TURNS.items()
}
MIXED = {**ALL_GREEN, **ALL_TURNS}
"""Rows of mixed clusters, for tests with ``nodes``; of the quick one those that are marked ``smoke`` run always."""
QUICK = "redis-mixed"


def service_of(back_end: str) -> str:
    """The name of its broker."""
    return MIXED[back_end][0] if back_end in MIXED else back_end


def make_service(back_end: str) -> Service:
    """A broker of that kind; it does not run yet."""
    return next(row for row in SERVICES if row.name == service_of(back_end)).service()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with ``back_end``, the name of one, or with ``nodes``, runs on each, unless it says on which.

    One that is marked ``ordered`` runs on those whose channels keep an order among each other.
    """
    chosen = [mark for mark in metafunc.definition.iter_markers("parametrize") if "back_end" in mark.args[0]]
    if "back_end" not in metafunc.fixturenames or chosen:
        return
    smoke = metafunc.definition.get_closest_marker("smoke") is not None
    ordered = metafunc.definition.get_closest_marker("ordered") is not None
    long = (LONG if smoke else SLOW | LONG) | (MIXED.keys() - ({QUICK} if smoke else set()))
    more = MIXED if smoke else ALL_TURNS
    rows = [*BACK_ENDS, *(more if "nodes" in metafunc.fixturenames else ())]
    names = [name for name in rows if not (ordered and service_of(name) in UNORDERED)]
    metafunc.parametrize(
        "back_end", [pytest.param(name, marks=[pytest.mark.long] if name in long else []) for name in names]
    )


class Standing:
    """Brokers and clusters, started when the first test wants them."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._services: dict[str, Service] = {}
        self._nodes: dict[str, ThreadNodes | ProcessNodes] = {}

    def service(self, back_end: str) -> Service:
        """The broker of that kind; it runs."""
        back_end = service_of(back_end)
        if back_end not in self._services:
            service = self._services[back_end] = make_service(back_end)
            self._stack.callback(service.close)
            service.start()
        return self._services[back_end]

    def nodes(self, back_end: str) -> ThreadNodes | ProcessNodes:
        """Three nodes on it, or four of all kinds."""
        if back_end not in self._nodes:
            more = {"kinds": MIXED[back_end][1]} if back_end in MIXED else {}
            self._nodes[back_end] = self.more_nodes(self._stack, back_end, NODES, **more)
        return self._nodes[back_end]

    def more_nodes(
        self, stack: contextlib.ExitStack, back_end: str, count: int, **more: Any
    ) -> ThreadNodes | ProcessNodes:
        """A cluster for one test, for as long as ``stack`` is open."""
        kind = ThreadNodes if back_end == "memory" else ProcessNodes
        nodes = kind(self.service(back_end).url(), count, **more)
        nodes.ordered = service_of(back_end) not in UNORDERED
        stack.enter_context(nodes)
        return nodes

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(scope="session")
def standing() -> Iterator[Standing]:
    standing = Standing()
    yield standing
    standing.close()


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

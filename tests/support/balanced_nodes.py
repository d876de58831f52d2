"""Three nodes, as they are deployed, with a Redis, and balancers in front of them.

    with BalancedNodes(drain_delay=2) as nodes, HAProxy(nodes.places) as haproxy:
        ...  # clients come to haproxy.url

Each node has an address of its own (in 127/8, which is all this machine), so that all can have the same ports, as
containers have.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any, Self

from tests.support.balancers import TAGS, Places
from tests.support.name_server import NameServer
from tests.support.patience import PATIENCE
from tests.support.server import ROOT, python_path
from tests.support.services import PORTS, Process, RedisServer, wait_for

APPLICATION = "tests.deploy.balanced_app:app"
START_PATIENCE = 6 * PATIENCE
"""Seconds for three interpreters to start at once on a busy machine."""
SAY_GOODBYE = 4 * PATIENCE
"""Seconds beyond its times for draining that a node may take to end."""


class BalancedNode(Process):
    """One ``roomcast run``, with the same address and tag over all of its lives."""

    def __init__(self, tag: str, address: str, places: Places, environment: dict[str, str], *arguments: str) -> None:
        super().__init__()
        self.tag = tag
        self.address = address
        self.places = places
        self._environment = environment
        self._arguments = arguments

    def start(self) -> None:
        """Ready when this returns."""
        ports = ["--port", str(self.places.port), "--metrics-port", str(self.places.metrics_port)]
        self.spawn(
            *(sys.executable, "-m", "roomcast", "run", APPLICATION, "--app-dir", str(ROOT), "--tag", self.tag),
            *("--host", self.address, "--metrics-host", self.address, *ports, "--metrics-port-fixed"),
            *self._arguments,
            environment={**self._environment, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"},
        )
        wait_for(self.ready, self.log, START_PATIENCE)

    def ready(self) -> bool:
        """Whether ``/readyz`` is 200."""
        if not self.running:
            raise AssertionError(f"the node ended at once\n{self.log()}")
        return self.readiness() == 200

    def readiness(self) -> int | None:
        """The status of ``/readyz``; None where nobody answers."""
        connection = HTTPConnection(self.address, self.places.metrics_port, timeout=PATIENCE)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def ended(self, patience: float) -> int:
        """Wait until it has ended by itself: its exit code."""
        assert self._process is not None
        return self._process.wait(patience)


class BalancedNodes(list[BalancedNode]):
    """``options`` are those of the server; the times are those of a stop, in seconds."""

    def __init__(self, *, drain_delay: float, drain_seconds: float, options: dict[str, Any] | None = None) -> None:
        self.redis = RedisServer()
        self._stack = contextlib.ExitStack()
        self._patience = drain_delay + drain_seconds + SAY_GOODBYE
        addresses = free_addresses(len(TAGS))
        self.names = NameServer("node", addresses)
        port, metrics_port = ports_on(addresses)
        self.places = Places(addresses, port, metrics_port, self.names.port)
        environment = {"ROOMCAST_BROKER": self.redis.url, "BALANCED_OPTIONS": json.dumps(options or {})}
        times = ("--drain-delay", str(drain_delay), "--drain-seconds", str(drain_seconds))
        super().__init__(
            BalancedNode(tag, address, self.places, environment, *times)
            for tag, address in zip(TAGS, addresses, strict=True)
        )

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.names)
            stack.enter_context(self.redis)
            for node in self:
                stack.callback(node.close)
            self.repair()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def repair(self) -> None:
        """Start those that do not run."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(BalancedNode.start, [node for node in self if not node.running]))

    def of(self, tag: str) -> BalancedNode:
        return self[TAGS.index(tag)]

    def stopped(self, node: BalancedNode) -> int:
        """Wait for a node that was told to stop: its exit code."""
        return node.ended(self._patience)

    def logs(self) -> str:
        return "\n".join(f"--- {node.tag}\n{node.log()}" for node in self)


def free_addresses(count: int) -> list[str]:
    """Addresses of this machine that nobody else is likely to have."""
    network = f"127.{random.randrange(1, 255)}.{random.randrange(255)}"
    first = random.randrange(1, 250)
    return [f"{network}.{first + number}" for number in range(count)]


def ports_on(addresses: list[str]) -> tuple[int, int]:
    """Two ports that are free on all of them."""
    while True:
        ports = random.sample(PORTS, 2)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for address in addresses:
                for port in ports:
                    stack.enter_context(socket.socket()).bind((address, port))
            return ports[0], ports[1]

"""Three nodes and both balancers before them: what a test of balancers stands on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any, Self

from tests.support.balanced_nodes import BalancedNode, BalancedNodes
from tests.support.balancers import TAGS, Balancer, HAProxy, Nginx
from tests.support.crowd import Crowd, Group, Ticker
from tests.support.js_client import TRANSPORTS, node_program
from tests.support.patience import PATIENCE
from tests.support.services import wait_for

TICK = 0.05
"""Seconds between two things that are said to everybody."""
VISITS = 6
"""New sessions after which each node has been visited, if all are in use."""
ASK_MS = 300
"""Milliseconds between two questions of each client."""


class Front:
    """The arguments are those of :class:`BalancedNodes`."""

    def __init__(self, **nodes: Any) -> None:
        self._node = node_program()
        self.nodes = BalancedNodes(**nodes)
        self.haproxy = HAProxy(self.nodes.places)
        self.nginx = Nginx(self.nodes.places)
        self.balancers: tuple[Balancer, ...] = (self.haproxy, self.nginx)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.nodes)
            for balancer in self.balancers:
                stack.enter_context(balancer)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def groups(self, count: int, *balancers: Balancer) -> list[Group]:
        """So many clients of each transport behind each of these balancers, or behind both."""
        return [
            Group(f"{balancer.name}, {transport}", balancer.url, transport, count)
            for balancer in balancers or self.balancers
            for transport in TRANSPORTS
        ]

    def until_all_are_served(self) -> None:
        """Start what does not run, and wait until both balancers send new sessions to every node. For who is alone."""
        self.nodes.repair()
        for balancer in self.balancers:
            wait_for(partial(_serves, balancer, set(TAGS)), balancer.log, 3 * PATIENCE)

    def comes_back(self, node: BalancedNode) -> None:
        """Start a node again, and wait until both balancers send new sessions there."""
        node.start()
        for balancer in self.balancers:
            wait_for(partial(_serves, balancer, {node.tag}), balancer.log, 3 * PATIENCE)

    @contextlib.contextmanager
    def silence(self, count: int, *balancers: Balancer) -> Iterator[Crowd]:
        """Clients that are there and say nothing, and to whom nothing is said."""
        with self._explained(), Crowd(self._node, self.groups(count, *balancers)) as crowd:
            yield crowd

    @contextlib.contextmanager
    def traffic(self, count: int, *balancers: Balancer) -> Iterator[tuple[Crowd, Ticker]]:
        """Clients that ask and are answered all the time, and somebody who talks to all of them."""
        with (
            self._explained(),
            Crowd(self._node, self.groups(count, *balancers), ASK_MS) as crowd,
            Ticker(self.nodes.redis.url, TICK) as ticker,
        ):
            yield crowd, ticker

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What nodes and balancers wrote is noted on any exception that leaves the block."""
        try:
            yield
        except BaseException as failure:
            failure.add_note(self.nodes.logs())
            for balancer in self.balancers:
                failure.add_note(f"--- {balancer.name}\n{balancer.log()}")
            raise


def _serves(balancer: Balancer, tags: set[str]) -> bool:
    return balancer.tags(VISITS) >= tags

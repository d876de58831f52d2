"""[hot] The one connection of a node to its broker: it tells the cluster, and hands over what the cluster has ready.

Everything that is decided is decided in :mod:`roomcast.core.cluster`. User code is never called out of a broker's call:
the work that comes of a message is done in a later turn of the loop.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roomcast.core.bus import FLUSH_PATIENCE, FLUSH_STEP, HELLO_PATIENCE, BusSurface, logger
from roomcast.core.cluster import ClusterOptions
from roomcast.core.node import Node
from roomcast_brokers.contracts import AsyncBroker, State

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.runtime import Runtime


class Bus(BusSurface):
    """Joins one node to a cluster. ``make_broker()`` gives a broker that is not open yet; each start takes a new one.

    :meth:`open` and :meth:`close` are for one running loop.
    """

    def __init__(self, node: Node, options: ClusterOptions, make_broker: Callable[[], AsyncBroker]) -> None:
        node.engine.now = time.monotonic()  # what loops count from, so that what is emitted before the start keeps
        super().__init__(node, options, wall_ms, secrets.randbits)
        self._make_broker = make_broker
        self._broker: AsyncBroker | None = None
        self._runtime: Runtime | None = None
        self._settled: asyncio.Event | None = None  # hello was said, or the broker is known to be away
        self._flushing = False

    @property
    def is_open(self) -> bool:
        """Whether it is joined to its cluster, or about to be."""
        return self._broker is not None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self, runtime: Runtime) -> None:
        """Begin to reach the broker; returns when it is there, known to be away, or ``HELLO_PATIENCE`` over."""
        self._runtime = runtime
        runtime.look_at_clock()
        broker = self._broker = self._make_broker()
        self.renew(broker)
        self.cluster.on_ready = self._wake
        self._settled = asyncio.Event()
        self.cluster.on_joined = self._settled.set
        self.cluster.start()
        broker.open(self)
        self._flush()
        try:
            await asyncio.wait_for(self._settled.wait(), HELLO_PATIENCE)
        except TimeoutError:
            logger.warning("the broker has not answered yet: this node serves its own clients meanwhile")

    async def close(self, flushing: bool = False) -> None:
        """Say goodbye and publish what waits; ends for good what waits for other nodes.

        ``flushing`` gives what waits up to ``FLUSH_PATIENCE`` to get to a broker that is there.
        """
        broker, runtime = self._broker, self._runtime
        if broker is None or runtime is None:
            return
        if flushing:
            await self._flushed(runtime)
        runtime.look_at_clock()
        runtime.do(self.cluster.leave())
        self._flush()
        self._broker = None
        try:
            await broker.close()
        finally:  # also if the wait is cancelled: a cluster that is not closed has something due for ever
            self.ends()
            self._runtime = None

    async def _flushed(self, runtime: Runtime) -> None:
        """Wait until nothing waits to be handed over: more is made at once than may be with the broker at a time."""
        until = runtime.time() + FLUSH_PATIENCE
        while (left := self.cluster.queue.waiting) and self.cluster.up:
            if runtime.time() > until:
                logger.warning("%d operations had not been taken by the broker when this node stopped", left)
                return
            await asyncio.sleep(FLUSH_STEP)

    async def _join_anew(self) -> None:
        """A twin has this node's tag: leave, and come back under the one that was drawn."""
        runtime = self._runtime
        if runtime is None:
            return
        await self.close()
        await self.open(runtime)
        logger.warning("this node goes on under the tag %s", self._node.sids.tag)

    # --- to the broker ------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        """The cluster has something: it is taken when this turn of the loop has made all that it makes."""
        if not self._flushing and self._runtime is not None and self._runtime.loop is not None:
            self._flushing = True
            self._runtime.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        broker, runtime = self._broker, self._runtime
        if broker is None or runtime is None:
            return
        runtime.look_at_clock()
        self.hand_over(broker)

    # --- from the broker (roomcast_brokers.contracts.Listener) --------------------------------------------------------

    def delivered(self, channel: str, payload: bytes) -> None:
        """A message has come."""
        runtime, cluster = self._runtime, self.cluster
        if runtime is None or cluster.codec.is_own(payload):  # half of what comes on a node that publishes
            return
        runtime.look_at_clock()
        work = cluster.delivered(channel, payload)
        if work is not None:
            self._later(work)

    def confirmed(self, channel: str, generation: int) -> None:
        """A subscription is confirmed."""
        if self._runtime is not None:
            self._runtime.look_at_clock()
            self._later(self.cluster.confirmed(channel, generation))

    def accepted(self, count: int) -> None:
        """The broker has so many messages."""
        if self._runtime is not None:
            self.cluster.accepted(count)

    def changed(self, state: State, cause: Exception | None) -> None:
        """The broker has come or gone."""
        runtime = self._runtime
        if runtime is None or state is State.CLOSED:
            return
        runtime.look_at_clock()
        self._later(self.cluster.changed(state))
        self.log_change(state, cause)
        if self._settled is not None and cause is not None:
            self._settled.set()

    def _later(self, work: Any) -> None:
        if work is not None and self._runtime is not None and self._runtime.loop is not None:
            self._runtime.loop.call_soon(self._runtime.do, work)

    # --- work ---------------------------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Make the connection anew (:class:`~roomcast.core.work.ResetBroker`)."""
        if self._broker is not None:
            self._broker.reset()

    def draw_tag(self) -> None:
        """Join again under the tag that was drawn (:class:`~roomcast.core.work.DrawTag`)."""
        runtime = self._runtime
        if runtime is not None and runtime.loop is not None:
            task = runtime.loop.create_task(self._join_anew())
            runtime.tasks.add(task)
            task.add_done_callback(runtime.tasks.discard)


def wall_ms() -> int:
    """The time of day, in milliseconds."""
    return time.time_ns() // 1_000_000

"""[hot] The one connection of a node to its broker: it tells the cluster, and hands over what the cluster has ready.

Everything that is decided is decided in :mod:`roomcast.core.cluster`. User code is never called out of a broker's call:
the work that comes of a message is done in a later turn of the loop.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from roomcast.core.cluster import Cluster, ClusterOptions
from roomcast.core.node import Node
from roomcast_brokers.contracts import AsyncBroker, PublishesBatches, State
from roomcast_brokers.errors import BrokerUnreachableError

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.runtime import Runtime

logger = logging.getLogger("roomcast.cluster")

# Start-up waits so long (seconds) for the broker, so that the node has said hello before its first client comes.
# Without the broker it serves all the same.
HELLO_PATIENCE = 1.0
# What waits for the broker when the node stops has so long (seconds) to be taken, beside the 2 s in which a back end
# writes what it was given; looked at so often.
FLUSH_PATIENCE = 2.0
FLUSH_STEP = 0.02


class Bus:
    """Joins one node to a cluster. ``make_broker()`` gives a broker that is not open yet; each start takes a new one.

    The cluster exists from the beginning, so that applications can ask it; :meth:`open` and :meth:`close` are for one
    running loop.
    """

    def __init__(self, node: Node, options: ClusterOptions, make_broker: Callable[[], AsyncBroker]) -> None:
        self._node = node
        self._options = options
        self._make_broker = make_broker
        self._counters = node.counters.cluster
        self._broker: AsyncBroker | None = None
        self._runtime: Runtime | None = None
        self._settled: asyncio.Event | None = None  # hello was said, or the broker is known to be away
        self._publish_batch: Callable[[Sequence[tuple[str, bytes]]], None] | None = None
        self._flushing = False
        self._unreachable = False
        self._used = False
        node.engine.now = time.monotonic()  # what loops count from, so that what is emitted before the start keeps
        self.cluster = self._new_cluster()

    def _new_cluster(self) -> Cluster:
        return Cluster(self._node, self._options, wall_ms, secrets.randbits)

    @property
    def is_open(self) -> bool:
        """Whether it is joined to its cluster, or about to be."""
        return self._broker is not None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self, runtime: Runtime) -> None:
        """Begin to reach the broker; returns when it is there, known to be away, or ``HELLO_PATIENCE`` over."""
        self._runtime = runtime
        runtime.look_at_clock()
        if self._used:
            hooks = self.cluster.confessions.on_gap
            self.cluster = self._new_cluster()
            self.cluster.confessions.on_gap = hooks
        self._used = True
        self.cluster.on_ready = self._wake
        self._settled = asyncio.Event()
        self.cluster.on_joined = self._settled.set
        broker = self._broker = self._make_broker()
        self._publish_batch = broker.publish_batch if isinstance(broker, PublishesBatches) else None
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
            self.cluster.changed(State.CLOSED)
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
        cluster = self.cluster
        for change in cluster.take_changes():
            if change.generation is None:
                broker.unsubscribe(change.channel)
            else:
                broker.subscribe(change.channel, change.generation)
        messages = cluster.take_messages()
        if not messages:
            return
        try:
            if self._publish_batch is not None:
                self._publish_batch(messages)
            else:
                for channel, payload in messages:
                    broker.publish(channel, payload)
        except BrokerUnreachableError:
            # It has gone in this very turn; the cluster hears of that, and retries everything taken.
            logger.debug("the broker went away while messages were handed over")

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
        if state is State.UP:
            logger.info("the broker is there; this node is %s", self._node.sids.tag)
            self._unreachable = False
        elif not self._unreachable and (cause is not None or self._counters.broker_reconnects):
            self._unreachable = True
            logger.error("the broker is away (%s): local clients are served, and it is tried again and again", cause)
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

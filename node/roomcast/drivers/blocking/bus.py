"""The one connection of a blocking node to its broker: a broker for threads, told of in the broker's own task."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from roomcast.core.bus import FLUSH_PATIENCE, FLUSH_STEP, HELLO_PATIENCE, BusSurface, logger
from roomcast.core.cluster import ClusterOptions
from roomcast.core.node import Node
from roomcast_brokers.contracts import Broker, State

if TYPE_CHECKING:
    from roomcast.drivers.blocking.concurrency import Event
    from roomcast.drivers.blocking.runtime import Runtime


class Bus(BusSurface):
    """Joins one node to a cluster. ``make_broker()`` gives a broker that is not open yet; each start takes a new one.

    What the broker tells is done in a turn of the runtime, and so is what is handed to it: at the end of the turn that
    made it. A broker holds no lock while it tells.
    """

    def __init__(
        self, node: Node, options: ClusterOptions, make_broker: Callable[[], Broker], runtime: Runtime
    ) -> None:
        super().__init__(node, options, wall_ms, secrets.randbits)
        self._make_broker = make_broker
        self._runtime = runtime
        self._broker: Broker | None = None
        self._settled: Event | None = None  # hello was said, or the broker is known to be away
        self._ready = False

    def forked(self) -> None:
        """In the child of a fork: the connection is the parent's, and so is what waited for it."""
        self._broker = None
        self._used = True  # the next start makes a cluster under this process's own tag and epoch
        self._ready = False

    def open(self) -> None:
        """Begin to reach the broker; returns when it is there, known to be away, or ``HELLO_PATIENCE`` over."""
        settled = self._settled = self._runtime.concurrency.make_event()
        with self._runtime.turn:
            if self._runtime.stopped:  # while it was joining anew
                return
            broker = self._broker = self._make_broker()
            self.renew(broker)
            self.cluster.on_ready = self._wake
            self.cluster.on_joined = settled.set
            self.cluster.start()
            broker.open(self)  # what it tells waits for the end of this turn
        if not settled.wait(HELLO_PATIENCE):
            logger.warning("the broker has not answered yet: this node serves its own clients meanwhile")

    def close(self) -> None:
        """Say goodbye and publish what waits; ends for good what waits for other nodes."""
        self._flushed()
        with self._runtime.turn:
            broker = self._broker
            if broker is None:
                return
            self._runtime.do(self.cluster.leave())
        with self._runtime.turn:
            self._broker = None
        broker.close()
        with self._runtime.turn:
            self.ends()

    def _flushed(self) -> None:
        """Wait until nothing waits to be handed over, as long as a broker that is there may take for that."""
        until = self._runtime.time() + FLUSH_PATIENCE
        while self._broker is not None and self.cluster.up and (left := self.cluster.queue.waiting):
            if self._runtime.time() > until:
                logger.warning("%d operations had not been taken by the broker when this node stopped", left)
                return
            self._runtime.concurrency.sleep(FLUSH_STEP)

    def reset(self) -> None:
        """Make the connection anew (:class:`~roomcast.core.work.ResetBroker`)."""
        if self._broker is not None:
            self._runtime.outside.append(self._broker.reset)

    def draw_tag(self) -> None:
        """Join again under the tag that was drawn (:class:`~roomcast.core.work.DrawTag`)."""
        self._runtime.concurrency.start(self._join_anew)

    def _join_anew(self) -> None:
        self.close()
        self.open()
        logger.warning("this node goes on under the tag %s", self._node.sids.tag)

    # --- to the broker; in a turn -------------------------------------------------------------------------------------

    def _wake(self) -> None:
        self._ready = True

    def flush(self) -> None:
        """Called at the end of every turn."""
        if self._ready and self._broker is not None:
            self._ready = False
            self.hand_over(self._broker)

    # --- from the broker (roomcast_brokers.contracts.Listener) --------------------------------------------------------

    def delivered(self, channel: str, payload: bytes) -> None:
        """A message has come."""
        if self._broker is not None and not self.cluster.codec.is_own(payload):
            with self._runtime.turn:
                # While this waited for its turn the channel may have been unsubscribed, and subscribed again.
                if self.cluster.subscriptions.is_told(channel):
                    self._runtime.do(self.cluster.delivered(channel, payload))

    def confirmed(self, channel: str, generation: int) -> None:
        """A subscription is confirmed."""
        with self._runtime.turn:
            self._runtime.do(self.cluster.confirmed(channel, generation))

    def accepted(self, count: int) -> None:
        """The broker has so many messages."""
        with self._runtime.turn:
            self.cluster.accepted(count)

    def changed(self, state: State, cause: Exception | None) -> None:
        """The broker has come or gone."""
        if state is State.CLOSED:
            return
        with self._runtime.turn:
            self._runtime.do(self.cluster.changed(state))
            self.log_change(state, cause)
        if self._settled is not None and cause is not None:
            self._settled.set()


def wall_ms() -> int:
    """The time of day, in milliseconds."""
    return time.time_ns() // 1_000_000

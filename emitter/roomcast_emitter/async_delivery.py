"""The way to the broker of one event loop: the rules of :mod:`roomcast_emitter.postbox` over an asynchronous broker,
which never subscribes anything here, and comes back by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from roomcast_brokers.contracts import AsyncPublisher, State
from roomcast_brokers.errors import BrokerUnreachableError
from roomcast_emitter.counts import Counts
from roomcast_emitter.errors import EmitterClosedError
from roomcast_emitter.operations import Order
from roomcast_emitter.outages import OutageLog, warn
from roomcast_emitter.postbox import Postbox
from roomcast_emitter.receipts import Outcome, Parcel


class AsyncDelivery:
    """What is posted here is with the broker when :meth:`post` returns, or waits, or has ended, as ``box`` decides.

    It is the :class:`~roomcast_brokers.contracts.Listener` of its broker. All happens in the loop in which it was made.
    """

    def __init__(self, broker: AsyncPublisher, box: Postbox) -> None:
        self.loop = asyncio.get_running_loop()
        self._broker = broker
        self._box = box
        self._reached: bool | None = None  # None: an attempt is under way, the first one or the one after a break
        self._cause: Exception | None = None
        self._closed = False
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0  # loops may round what they keep
        self._callers: set[asyncio.Future[None]] = set()
        self._log = OutageLog(box.limits.meanwhile)
        box.on_ready = self._flush_soon
        broker.open(self)

    # --- for who emits ------------------------------------------------------------------------------------------------

    async def post(self, orders: Sequence[Order]) -> Parcel:
        """Send these, in order, or let them wait for the broker. Who is cancelled here has emitted all the same."""
        if self._closed:
            raise EmitterClosedError("the emitter is closed")
        parcel = self._box.post(orders, self.loop.time())
        self._arm()
        if self._reached is False:
            self._away()
        elif not parcel.ended():
            await self._ending(parcel)
        return parcel

    async def settle(self, parcel: Parcel, timeout: float | None) -> Outcome:
        """Wait until ``parcel`` has ended, at most ``timeout`` seconds."""
        if not parcel.ended():
            ended = self._when_ended(parcel)
            await asyncio.wait({ended}, timeout=timeout)
            ended.cancel()
        return parcel.outcome

    async def flush(self, timeout: float) -> bool:
        """See that what was posted before ends, and say how far the numbers are; whether the broker has all of it."""
        parcels = self._box.parcels()
        if parcels:
            endings = {self._when_ended(parcel) for parcel in parcels}
            _, late = await asyncio.wait(endings, timeout=timeout)
            for ending in late:
                ending.cancel()
        self._box.mark(self.loop.time())
        self._flush()
        return all(parcel.outcome is Outcome.DELIVERED for parcel in parcels)

    async def close(self, timeout: float) -> bool:
        """Flush, then end for good: what waits is given up, the connection ends."""
        if self._closed:
            return True
        done = await self.flush(timeout)
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        await self._broker.close()
        self._box.give_up(self.loop.time())
        return done

    def counts(self) -> Counts:
        """What has become of what was posted."""
        return self._box.counts()

    async def _ending(self, parcel: Parcel) -> None:
        """Until ``parcel`` has ended, or the broker is found to be away."""
        ended = self._when_ended(parcel)
        self._callers.add(ended)
        try:
            await ended
        finally:
            self._callers.discard(ended)

    def _when_ended(self, parcel: Parcel) -> asyncio.Future[None]:
        future = self.loop.create_future()
        parcel.when_ended(lambda: _done(future))
        return future

    # --- what the broker tells ----------------------------------------------------------------------------------------

    def delivered(self, channel: str, payload: bytes) -> None:
        """Nothing is subscribed."""

    def confirmed(self, channel: str, generation: int) -> None:
        """Nothing is subscribed."""

    def accepted(self, count: int) -> None:
        """The broker has them."""
        self._box.accepted(count, self.loop.time())

    def changed(self, state: State, cause: Exception | None) -> None:
        """It is there, or away."""
        if state is State.CLOSED:
            return  # by us
        if state is State.UP:
            self._reached, self._cause = True, None
            self._box.up(self.loop.time())
        elif self._reached:
            self._reached, self._cause = None, cause
            self._box.broken(self.loop.time())
        elif cause is not None:
            self._reached, self._cause = False, cause
            self._away()
        self._arm()
        self._tell()

    def _away(self) -> None:
        self._box.away(self.loop.time())
        for caller in self._callers:
            _done(caller)

    # --- in time ------------------------------------------------------------------------------------------------------

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Hand over what can be taken: all of one turn of the loop together."""
        self._flushing = False
        try:
            for channel, payload in self._box.take(self.loop.time()):
                self._broker.publish(channel, payload)
        except BrokerUnreachableError as error:
            self._reached, self._cause = None, error
            self._box.broken(self.loop.time())  # it is about to say so itself
        self._arm()

    def _arm(self) -> None:
        """Have :meth:`_tick` called when there is something to do."""
        due = self._box.due()
        if due is None or self._closed:
            return
        if self._timer is not None:
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(due, self._tick)
        self._timer_due = due

    def _tick(self) -> None:
        self._timer = None
        self._box.tick(self.loop.time())
        self._tell()
        self._arm()

    def _tell(self) -> None:
        line = self._log.line(self._reached, self._box.lost, self._cause)
        if line is not None:
            warn(line)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

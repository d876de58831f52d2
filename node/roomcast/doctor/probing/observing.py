"""A place on the broker: it hears the beats of the nodes and says nothing, so that no node knows of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection
from typing import Final

import msgspec

from roomcast.doctor.judging.broker import BrokerSeen, Heard
from roomcast.doctor.timing import HEARD_AT_LEAST, HEARD_AT_MOST, REACH_BROKER, TRY_AGAIN
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, decode_body, new_origin
from roomcast_brokers.contracts import AsyncBroker, State
from roomcast_brokers.errors import EnvelopeError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Beat, Envelope, Goodbye, Hello
from roomcast_brokers.registry import create, scheme_of

MAX_NODES: Final = 1_000
"""That are remembered: no cluster has as many, and whoever can write to the broker could invent more."""


class Place(msgspec.Struct, frozen=True):
    """Where on which broker the cluster is."""

    url: str
    cluster: str
    keys: tuple[str | bytes, ...] = ()


class Observer:
    """Listens on the channel of everybody. A :class:`roomcast_brokers.contracts.Listener`; ``async with`` it."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._channel = Channels(place.cluster).everyone
        keys = KeyRing(list(place.keys)) if place.keys else None
        self._codec = EnvelopeCodec(new_origin(), place.cluster, keys)
        self._broker: AsyncBroker = create(place.url, distribution="roomcast")
        self._begin = 0.0
        self._up: float | None = None
        self._cause = ""
        self._reached = asyncio.Event()
        self._settled = asyncio.Event()  # reached, or told why not
        self._news = asyncio.Event()
        self._heard: dict[str, Heard] = {}
        self._unreadable: Counter[str] = Counter()

    async def __aenter__(self) -> Observer:
        self._begin = asyncio.get_running_loop().time()
        self._broker.subscribe(self._channel, 1)
        self._broker.open(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._broker.close()

    async def reach(self) -> bool:
        """Wait until the broker is there; whether it is, in time. What fails is waited for a little longer only."""
        for event, seconds in ((self._settled, REACH_BROKER), (self._reached, TRY_AGAIN)):
            try:
                await asyncio.wait_for(event.wait(), seconds)
            except TimeoutError:
                return False
        return True

    async def hear(self, wanted: Collection[str]) -> None:
        """Listen until all ``wanted`` nodes were heard and everybody else could be, but not for ever."""
        clock = asyncio.get_running_loop().time
        begin = self._begin + (self._up or 0.0)
        slowest = self._broker.traits.shortest_beat
        least, most = max(HEARD_AT_LEAST, 2 * slowest), max(HEARD_AT_MOST, 4 * slowest)
        while (passed := clock() - begin) < most:
            until = least if set(wanted) <= set(self._heard) else most
            if passed >= until:
                break
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), until - passed)
            except TimeoutError:
                continue

    @property
    def tags(self) -> set[str]:
        """The nodes that were heard."""
        return set(self._heard)

    def seen(self) -> BrokerSeen:
        """What there was to hear so far."""
        listened = asyncio.get_running_loop().time() - self._begin - (self._up or 0.0)
        return BrokerSeen(
            scheme=scheme_of(self._place.url),
            cluster=self._place.cluster,
            up=self._up,
            cause=self._cause,
            listened=listened,
            heard=tuple(self._heard.values()),
            unreadable=dict(self._unreadable),
            with_keys=bool(self._place.keys),
        )

    # --- Listener -----------------------------------------------------------------------------------------------------

    def delivered(self, channel: str, payload: bytes) -> None:
        """Something was written to the cluster."""
        try:
            envelope = self._codec.decode(channel, payload)
            if envelope.control:
                self._hear(envelope)
        except EnvelopeError as error:
            self._unreadable[error.reason] += 1

    def _hear(self, envelope: Envelope) -> None:
        body = decode_body(envelope.operations[0])
        tag = envelope.origin.name
        if isinstance(body, Goodbye):
            self._heard.pop(tag, None)
        if not isinstance(body, Beat | Hello) or (tag not in self._heard and len(self._heard) >= MAX_NODES):
            return
        before = self._heard.get(tag)
        ahead = envelope.sent_ms / 1000 - time.time()
        # What comes late seems to be behind: the beat that was on its way for the shortest time tells best.
        self._heard[tag] = Heard(
            tag,
            1 if before is None else before.beats + 1,
            sum(body.clients.values()) if isinstance(body, Beat) else 0,
            ahead if before is None else max(ahead, before.offset),
            envelope.signed,
        )
        self._news.set()

    def confirmed(self, channel: str, generation: int) -> None:
        """The channel is subscribed; UP follows."""

    def accepted(self, count: int) -> None:
        """Nothing is ever published here."""

    def changed(self, state: State, cause: Exception | None) -> None:
        """The broker has come or gone."""
        if state is State.UP:
            if self._up is None:
                self._up = asyncio.get_running_loop().time() - self._begin
            self._reached.set()
            self._settled.set()
        elif cause is not None:
            self._cause = str(cause)
            self._settled.set()

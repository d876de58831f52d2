"""Listeners of brokers that keep what they hear, one for each colour, and let tests wait for it.

Conditions are functions of the listener: ``await listener.until(lambda heard: heard.state is State.UP)``. They are
asked again and again while things are heard, so they should look at a counter or at the end of a list.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any, Self

from roomcast_brokers.contracts import State
from tests.support.patience import PATIENCE

Event = tuple[Any, ...]
"""What was heard, by the name of the method: ``("delivered", channel, payload)``, ``("changed", state)`` …"""
PROBE = b"\0a probe of the tests\0"
"""What begins with this is no message: it shows that a channel is subscribed, where the broker does not say so."""


class Heard:
    """What a listener was told: everything in order in ``events``, and each kind by itself."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.messages: list[tuple[str, bytes]] = []
        self.confirmations: list[tuple[str, int]] = []
        self.accepted_count = 0
        self.states: list[State] = []
        self.causes: list[Exception | None] = []
        self.by_channel: dict[str, list[bytes]] = {}
        self.probes: set[tuple[str, bytes]] = set()
        """(channel, payload) of what begins with :data:`PROBE`: only that it came counts, it is nowhere else."""
        self.generations: dict[str, int] = {}
        self.busy_elsewhere = False
        """Set it while the listener must not be called, as in the middle of ``publish``."""
        self.misplaced: list[Event] = []
        """What was told while ``busy_elsewhere``, or while another call was running."""
        self.on_event: Callable[[Event], None] | None = None
        """Called in place after each event; for tests of listeners that call the broker back."""

    @property
    def state(self) -> State:
        return self.states[-1] if self.states else State.CONNECTING

    @property
    def breaks(self) -> int:
        """How often UP was followed by CONNECTING."""
        return list(pairwise(self.states)).count((State.UP, State.CONNECTING))

    def payloads(self, channel: str) -> list[bytes]:
        """What was heard on ``channel`` so far, oldest first."""
        return self.by_channel.get(channel, [])

    def summary(self) -> str:
        """For the message of a failed test: counts and the last few things, shortened."""
        last = ", ".join(str(tuple(str(part)[:60] for part in event)) for event in self.events[-5:])
        return (
            f"{len(self.messages)} messages, {len(self.confirmations)} confirmations, {self.accepted_count} accepted, "
            f"states {[state.value for state in self.states[-8:]]}; last: {last or 'nothing'}"
        )

    def _note(self, event: Event) -> None:
        if self.busy_elsewhere:
            self.misplaced.append(event)
        if event[0] == "delivered" and event[2].startswith(PROBE):
            self.probes.add(event[1:])
            return
        self.events.append(event)
        match event:
            case ("delivered", channel, payload):
                self.messages.append((channel, payload))
                self.by_channel.setdefault(channel, []).append(payload)
            case ("confirmed", channel, generation):
                self.confirmations.append((channel, generation))
                self.generations[channel] = generation
            case ("accepted", count):
                self.accepted_count += count
            case ("changed", state, cause):
                self.states.append(state)
                self.causes.append(cause)


class RecordingListener(Heard):
    """For brokers of an event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._something = asyncio.Event()

    def delivered(self, channel: str, payload: bytes) -> None:
        self._hear(("delivered", channel, payload))

    def confirmed(self, channel: str, generation: int) -> None:
        self._hear(("confirmed", channel, generation))

    def accepted(self, count: int) -> None:
        self._hear(("accepted", count))

    def changed(self, state: State, cause: Exception | None) -> None:
        self._hear(("changed", state, cause))

    def _hear(self, event: Event) -> None:
        self._note(event)
        self._something.set()
        if self.on_event is not None:
            self.on_event(event)

    async def until(self, condition: Callable[[Self], object], timeout: float = PATIENCE) -> None:
        """Return when ``condition`` holds, at once if it does; fail after ``timeout``."""
        try:
            async with asyncio.timeout(timeout):
                while not condition(self):
                    self._something.clear()
                    await self._something.wait()
        except TimeoutError:
            raise AssertionError(f"in vain after {timeout:g} s: {self.summary()}") from None


class ThreadListener(Heard):
    """For brokers of threads; ``threads`` are those it was called in, and calls that overlap are ``misplaced``."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        self._heard = threading.Condition()
        self._called = threading.Lock()

    def delivered(self, channel: str, payload: bytes) -> None:
        self._hear(("delivered", channel, payload))

    def confirmed(self, channel: str, generation: int) -> None:
        self._hear(("confirmed", channel, generation))

    def accepted(self, count: int) -> None:
        self._hear(("accepted", count))

    def changed(self, state: State, cause: Exception | None) -> None:
        self._hear(("changed", state, cause))

    def _hear(self, event: Event) -> None:
        alone = self._called.acquire(blocking=False)
        with self._heard:
            self.threads.add(threading.get_ident())
            self._note(event)
            if not alone:
                self.misplaced.append(event)
            self._heard.notify_all()
        if self.on_event is not None:
            self.on_event(event)
        if alone:
            self._called.release()

    def until(self, condition: Callable[[Self], object], timeout: float = PATIENCE) -> None:
        """Block until ``condition`` holds; fail after ``timeout``."""
        with self._heard:
            if not self._heard.wait_for(lambda: condition(self), timeout):
                raise AssertionError(f"in vain after {timeout:g} s: {self.summary()}")

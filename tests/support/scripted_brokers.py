"""Brokers that do nothing but what a test tells them, and keep what they were told: for tests of who uses brokers."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from roomcast_brokers.contracts import Listener, State, Traits
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.patience import PATIENCE


class _Scripted:
    """Both colours have the same methods but for ``close``. ``calls`` holds them by name, with their arguments."""

    def __init__(self, traits: Traits | None = None) -> None:
        self.traits = traits or Traits()
        self.calls: list[tuple[Any, ...]] = []
        self.refuses = False
        """Whether ``publish`` raises, as in the moment in which a break is known and not told yet."""
        self._listener: Listener | None = None

    @property
    def listener(self) -> Listener:
        assert self._listener is not None, "not opened yet"
        return self._listener

    @property
    def published(self) -> list[tuple[str, bytes]]:
        return [(call[1], call[2]) for call in self.calls if call[0] == "publish"]

    def open(self, listener: Listener) -> None:
        self._listener = listener
        self.calls.append(("open",))

    def publish(self, channel: str, payload: bytes) -> None:
        if self.refuses:
            raise BrokerUnreachableError("refused, as scripted")
        self.calls.append(("publish", channel, payload))

    def subscribe(self, channel: str, generation: int) -> None:
        self.calls.append(("subscribe", channel, generation))

    def unsubscribe(self, channel: str) -> None:
        self.calls.append(("unsubscribe", channel))

    def reset(self) -> None:
        self.calls.append(("reset",))


class ScriptedAsyncBroker(_Scripted):
    """``close`` ends when ``may_close`` is set, as it is at first."""

    def __init__(self, traits: Traits | None = None) -> None:
        super().__init__(traits)
        self.may_close = asyncio.Event()
        self.may_close.set()
        self.opening_error: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened = threading.Event()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """Where it is opened, for tests that script it from another thread: they wait until it is."""
        assert self._opened.wait(PATIENCE)
        assert self._loop is not None
        return self._loop

    def open(self, listener: Listener) -> None:
        if self.opening_error is not None:
            raise self.opening_error
        super().open(listener)
        self._loop = asyncio.get_running_loop()
        self._opened.set()

    async def close(self) -> None:
        self.calls.append(("close",))
        await self.may_close.wait()
        if self._listener is not None:
            self._listener.changed(State.CLOSED, None)


class ScriptedBroker(_Scripted):
    """``closes`` is whether it tells CLOSED, as it should."""

    def __init__(self, traits: Traits | None = None, *, closes: bool = True) -> None:
        super().__init__(traits)
        self.closes = closes

    def close(self, timeout: float = 2.0) -> None:
        self.calls.append(("close", timeout))
        if self._listener is not None and self.closes:
            self._listener.changed(State.CLOSED, None)

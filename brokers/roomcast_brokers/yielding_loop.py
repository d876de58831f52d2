"""An event loop that other code of its thread does not notice: where threads are greenlets, they share that thread.

asyncio keeps the loop that runs in the thread. While this one waits, and in :meth:`YieldingLoop.call_outside`, it does
not run for asyncio: other greenlets may run loops of their own (``asyncio.run()`` in a handler, a second broker). In a
thread of its own nothing of that matters, and costs 0.2 µs.
"""

from __future__ import annotations

import asyncio
import selectors
from asyncio.events import _set_running_loop
from collections.abc import Callable, Mapping
from typing import Any


class YieldingSelector(selectors.BaseSelector):
    """The selector of this moment's ``selectors``, which gevent and eventlet replace, beside which others may run."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.loop: asyncio.AbstractEventLoop | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        _set_running_loop(None)
        try:
            return self._selector.select(timeout)
        finally:
            _set_running_loop(self.loop)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map()

    def close(self) -> None:
        self._selector.close()


class YieldingLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, whatever the application's policy is: others would stop all greenlets while they wait."""

    def __init__(self) -> None:
        selector = YieldingSelector()
        super().__init__(selector)
        selector.loop = self

    def call_outside(self, function: Callable[..., object], *args: Any) -> None:
        """Call, from the loop, what may wait for other greenlets."""
        _set_running_loop(None)
        try:
            function(*args)
        finally:
            _set_running_loop(self)

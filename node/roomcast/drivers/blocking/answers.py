"""What a task waits for that has asked clients something."""

from __future__ import annotations

from typing import Any

from roomcast.drivers.blocking.concurrency import Event


class Answer:
    """Filled in a turn, awaited outside of one."""

    __slots__ = ("_args", "_error", "_event")

    def __init__(self, event: Event) -> None:
        self._event = event
        self._args: tuple[Any, ...] = ()
        self._error: Exception | None = None

    @property
    def settled(self) -> bool:
        """Whether the wait is over."""
        return self._event.is_set()

    def settle(self, args: tuple[Any, ...], error: Exception | None) -> None:
        """The answer, or why there is none; only the first counts."""
        if not self._event.is_set():
            self._args, self._error = args, error
            self._event.set()

    def wait(self, timeout: float | None = None) -> tuple[Any, ...]:
        """The answer; raises why there is none. The core ends every question: ``timeout`` is for who will not wait
        that long, and raises TimeoutError.
        """
        if not self._event.wait(timeout):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._args

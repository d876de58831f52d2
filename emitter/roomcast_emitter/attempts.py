"""What the attempts to reach the broker have shown so far, and when the next one is due; without I/O."""

from __future__ import annotations

from typing import Final

from roomcast_brokers.backoff import delays

# A connection that was cut while it was idle says so at once. What took longer (seconds) was no such thing.
AT_ONCE: Final = 1.0


class Attempts:
    """Time is an argument, in seconds. Not safe for threads; its owner has the lock."""

    __slots__ = ("_delays", "begun", "cause", "failures", "interrupted", "reached", "retry_at")

    def __init__(self) -> None:
        self.reached: bool | None = None
        """What the last one showed; None: nobody knows."""
        self.cause: Exception | None = None
        self.failures = 0
        self.retry_at = 0.0
        """When the next one is due, if the last one failed."""
        self.begun: float | None = None
        """When the one that is under way began."""
        self.interrupted = False
        """The last one was interrupted; somebody else has to go on with what it left."""
        self._delays = delays()

    def begin(self, now: float) -> None:
        """One begins."""
        self.begun = now
        self.interrupted = False

    def succeed(self) -> bool:
        """The broker has taken something; whether that was in doubt before."""
        known, self.reached, self.cause = self.reached, True, None
        return not known

    def fail(self, cause: Exception, now: float) -> bool:
        """It failed; whether another one may be made at once.

        The connection had worked before, and may have been cut since, with the broker in best health.
        """
        if self.reached and self.begun is not None and now - self.begun < AT_ONCE:
            self.reached = None
            return True
        if self.reached is not False:
            self._delays = delays()
        self.reached, self.cause = False, cause
        self.failures += 1
        self.retry_at = now + next(self._delays)
        return False

    def interrupt(self) -> None:
        """It was interrupted by something that has nothing to do with the broker."""
        self.reached = None
        self.interrupted = True

    def failed(self, now: float) -> bool:
        """Whether the last one failed, and the next is not due yet."""
        return self.reached is False and now < self.retry_at

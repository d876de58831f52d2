"""What the log says about a broker that is away: one line when it goes, one at the first loss, one when it is back."""

from __future__ import annotations

from typing import Final

LOGGER: Final = "roomcast_emitter"


class OutageLog:
    """Told after every change, answers with the line that is to be logged as a warning, if any."""

    __slots__ = ("_away", "_before", "_losing", "_waits")

    def __init__(self, waits: str) -> None:
        """``waits`` says what becomes of what is emitted meanwhile."""
        self._waits = waits
        self._away = False
        self._losing = False
        self._before = 0

    def line(self, reached: bool | None, lost: int, cause: Exception | None) -> str | None:
        """``lost`` counts everything that was given up so far, and ``cause`` is why the broker is not reached."""
        if reached is False and not self._away:
            self._away = True
            return f"the broker is away ({_shown(cause)}); {self._waits}"
        if lost > self._before and not self._losing:
            self._losing = True
            return f"{lost - self._before:,} emitted operations were given up, for the broker did not come back in time"
        if reached and (self._away or self._losing):
            gone, self._before = lost - self._before, lost
            self._away = self._losing = False
            return f"the broker is back; {gone:,} emitted operations had been given up"
        return None


def warn(line: str) -> None:
    """Log ``line``. Call it without a lock: a handler of the application may emit."""
    # Who never hears of an outage need not load it: 6 ms of the 45 that it takes to import this package.
    import logging

    logging.getLogger(LOGGER).warning("%s", line)


def _shown(cause: Exception | None) -> str:
    return "no answer" if cause is None else str(cause) or type(cause).__name__

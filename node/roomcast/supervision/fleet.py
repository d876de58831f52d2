"""What becomes of the nodes of ``roomcast up``: who is started when, who is given up, and how it all ends.

Decides, and does nothing: it is told what happened and when, and :meth:`Fleet.orders` says what is to be done.

* A node that ends, however it ends, is started again. The first time soon, then after longer and longer pauses, until
  it has lived for a while.
* A node that ends again and again before it could serve brings everything to an end: more of the same will not help.
* Asked to stop, every node is asked to drain. Who takes too long is killed; asked once more, everybody is.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from enum import Enum
from typing import Final

import msgspec

# Seconds. Who lived for so long was well: its end says nothing about its next life.
STEADY: Final = 30.0

# Seconds until a node is started again, doubled from one short life to the next. The first is long enough that a node
# that always dies at once does not keep a processor busy; the last, that it costs less than one start in ten seconds.
SHORTEST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 10.0

# Starts in a row that came to nothing, after which it all ends. A node that has never served has a wrong name, a wrong
# setting or a taken port, which time does not mend. One that has served may miss at its start what will be back (a
# database that restarts): a minute and more is waited for it while the others serve.
FAILED_STARTS: Final = 3
FAILED_STARTS_LATER: Final = 10

# Seconds that a node may take to end beyond the time over which it drains: handlers that still run, and the
# application's own shutdown.
END_PATIENCE: Final = 15.0

EXIT_CLEAN: Final = 0
EXIT_UNCLEAN: Final = 1
EXIT_NOT_STARTED: Final = 3
EXIT_KILLED: Final = 130

# How a process ends that was asked to: with 0, or, while it has not begun to listen for signals, by the signal.
_CLEAN_ENDS: Final = (0, -signal.SIGTERM)


class State(Enum):
    """Where the present life of a node is."""

    DOWN = "down"
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    STOPPED = "stopped"


_ALIVE: Final = (State.STARTING, State.SERVING, State.DRAINING)


class Deed(Enum):
    """What can be done to a node."""

    START = "start"
    TERMINATE = "terminate"
    KILL = "kill"


class Order(msgspec.Struct, frozen=True):
    """To be carried out now, in the order given."""

    deed: Deed
    number: int


class Life(msgspec.Struct):
    """One node, through all its lives. ``ended_with`` is the exit code of the last one, negative for a signal."""

    number: int
    state: State = State.DOWN
    due: float = 0.0
    born: float = 0.0
    starts: int = 0
    ended_with: int | None = None
    has_served: bool = False
    failed_starts: int = 0
    short_lives: int = 0
    killed: bool = False

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return max(0, self.starts - 1)

    @property
    def is_alive(self) -> bool:
        """Whether there is a process."""
        return self.state in _ALIVE


class GaveUp(msgspec.Struct, frozen=True):
    """Why it all ended: this node ended so often in a row before it served, the last time with that code."""

    number: int
    failed_starts: int
    ended_with: int


class Fleet:
    """``numbers`` are the nodes'. Times are seconds of one clock that never goes back."""

    def __init__(self, numbers: Sequence[int], drain_seconds: float, now: float) -> None:
        self.lives = {number: Life(number, due=now) for number in numbers}
        self.failure: GaveUp | None = None
        self._patience = drain_seconds + END_PATIENCE
        self._kill_at: float | None = None  # known once it stops
        self._hurried = False
        self._unclean = False

    # --- what happened ------------------------------------------------------------------------------------------------

    def serves(self, number: int) -> None:
        """The node says that it is ready, for the first time in this life or once more."""
        life = self.lives[number]
        if life.state is State.STARTING:
            life.state = State.SERVING
            life.has_served = True
            life.failed_starts = 0

    def ended(self, number: int, code: int, now: float) -> None:
        """The node's process has ended, or could not be made."""
        life = self.lives[number]
        served, age = life.state is State.SERVING, now - life.born
        life.ended_with = code
        if self.is_stopping:
            life.state = State.STOPPED
            self._unclean = self._unclean or life.killed or code not in _CLEAN_ENDS
            return
        life.short_lives = 0 if age >= STEADY else life.short_lives + 1
        life.failed_starts = 0 if served or age >= STEADY else life.failed_starts + 1
        life.state, life.due = State.DOWN, now + delay(life.short_lives)
        if life.failed_starts >= (FAILED_STARTS_LATER if life.has_served else FAILED_STARTS):
            self.failure = GaveUp(number, life.failed_starts, code)
            self.stop(now)

    def stop(self, now: float) -> None:
        """Somebody wants it to end; for the second time: at once."""
        if self.is_stopping:
            self._hurried, self._kill_at = True, now
            return
        self._kill_at = now + self._patience
        for life in self.lives.values():
            if life.state is State.DOWN:
                life.state = State.STOPPED

    # --- what is to be done -------------------------------------------------------------------------------------------

    def orders(self, now: float) -> list[Order]:
        """What is due; each order is given once, and taken as carried out."""
        found = []
        for life in self.lives.values():
            deed = self._deed(life, now)
            if deed is not None:
                found.append(Order(deed, life.number))
        return found

    def _deed(self, life: Life, now: float) -> Deed | None:
        if life.state is State.DOWN and life.due <= now:
            life.state, life.born = State.STARTING, now
            life.starts += 1
            return Deed.START
        if self._kill_at is None or not life.is_alive or life.killed:
            return None
        if self._kill_at <= now:
            life.killed = True
            return Deed.KILL
        if life.state is not State.DRAINING:
            life.state = State.DRAINING
            return Deed.TERMINATE
        return None

    def due(self) -> float | None:
        """When :meth:`orders` has something next, if nothing happens before."""
        if self._kill_at is not None:
            return self._kill_at if any(life.is_alive and not life.killed for life in self.lives.values()) else None
        return min((life.due for life in self.lives.values() if life.state is State.DOWN), default=None)

    # --- how it stands ------------------------------------------------------------------------------------------------

    @property
    def is_stopping(self) -> bool:
        """Whether it is to end; nobody is started any more."""
        return self._kill_at is not None

    @property
    def is_over(self) -> bool:
        """Whether it is to end and every process has."""
        return self.is_stopping and not any(life.is_alive for life in self.lives.values())

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        if self._hurried:
            return EXIT_KILLED
        if self.failure is not None:
            return EXIT_NOT_STARTED
        return EXIT_UNCLEAN if self._unclean else EXIT_CLEAN


def delay(short_lives: int) -> float:
    """Seconds until the next start, after so many short lives in a row."""
    if short_lives == 0:
        return 0.0
    return float(min(LONGEST_DELAY, SHORTEST_DELAY * 2 ** min(short_lives - 1, 16)))

"""Another process under a tag that is taken: a restart, a late word of a predecessor, or a twin (cluster.md 1).

One late message proves nothing. A rival is believed to live when it was heard before and after a beat of ours, that is
in two rounds (:mod:`roomcast.core.own_beats`), without having been silent for a lease in between.
"""

from __future__ import annotations

from typing import Final

from roomcast_brokers.messages import Origin

# Uptimes of twins that differ by less say nothing, since each is as old as its way through the broker was long: the
# epochs decide.
TWIN_TIE_MS: Final = 1_000
# A twin that is still heard so many rounds after it should have yielded thinks the same of us: the epochs decide.
TWIN_ROUNDS: Final = 10


class Rival:
    """Another epoch under a tag that is taken, and the rounds in which it was heard first and last."""

    __slots__ = ("epoch", "first", "last")

    def __init__(self, epoch: bytes, rounds: int) -> None:
        self.epoch = epoch
        self.first = self.last = rounds

    @property
    def lives(self) -> bool:
        """Whether it was heard before and after a beat of ours."""
        return self.last > self.first


def heard_again(rival: Rival | None, epoch: bytes, rounds: int, lease: int) -> Rival:
    """The rival of this epoch, heard now: the one that is known, or one that is heard for the first time."""
    if rival is None or rival.epoch != epoch or rounds - rival.last >= lease:
        return Rival(epoch, rounds)
    rival.last = rounds
    return rival


class TwinWatch:
    """Who else goes by our own tag, and which of the two yields."""

    __slots__ = ("_lease", "_told", "_twin")

    def __init__(self, lease: int) -> None:
        self._lease = lease
        self._twin: Rival | None = None
        self._told: int | None = None  # the round in which it was told of

    def gone(self, epoch: bytes) -> None:
        """It has said goodbye."""
        if self._twin is not None and self._twin.epoch == epoch:
            self._twin = self._told = None

    def heard(self, own: Origin, own_uptime_ms: int, epoch: bytes, uptime_ms: int, rounds: int) -> bool | None:
        """It was heard: whether we yield. None: there is nothing (new) to say.

        The younger yields; of two that are equally old the one with the smaller epoch.
        """
        twin = heard_again(self._twin, epoch, rounds, self._lease)
        if twin is not self._twin:
            self._twin, self._told = twin, None
        if not twin.lives:
            return None
        smaller = own.epoch < epoch
        if self._told is None:
            older_by = own_uptime_ms - uptime_ms
            yields = smaller if abs(older_by) < TWIN_TIE_MS else older_by < 0
        elif smaller and rounds - self._told >= TWIN_ROUNDS:
            yields = True
        else:
            return None
        self._told = rounds
        return yields

"""Clients that do not take what is sent to them: when one counts as stuck, and its end (limits.md, cluster.md 10)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roomcast.engineio.outbox import STUCK_AFTER, STUCK_FACTOR, Outbox
from roomcast.engineio.session import Session
from roomcast.engineio.state import EngineState


class Backlogs(EngineState):
    """The part of the engine that ends slow consumers.

    ``slow`` are those to be ended at the end of this turn; ``_suspects`` those that are looked at again a moment later,
    with what they had taken when they came over their bound.
    """

    slow: dict[Session, None]
    _suspects: dict[Outbox, tuple[int, int]]

    def take_slow(self) -> Iterator[Any]:
        """End the sessions that were found too slow since the last call; yields work. The driver calls it after a
        flush.
        """
        while self.slow:
            session, _ = self.slow.popitem()
            if session.alive:
                self.counts.slow_consumers += 1
                session.outbox.take()
                yield self.close(session, "slow consumer", 1013)

    def _too_slow(self, session: Session) -> None:
        """Queue a session to be ended at the end of this turn; what it has queued is given up at once."""
        session.outbox.take()
        if not self.slow:
            self.on_wake()
        self.slow[session] = None

    def _suspect(self, box: Outbox) -> None:
        """It is over its bound: who takes nothing for a while, or falls behind to twice the bound meanwhile, is too
        slow.
        """
        before = self._suspects.get(box)
        if before is None:
            if not self._suspects:
                self.deadlines.add(self.now + STUCK_AFTER, self._judge_suspects)
            self._suspects[box] = (box.taken, box.sink.get_write_buffer_size())
        elif self.flusher.over(box, STUCK_FACTOR) and not _has_taken(box, before):
            self._too_slow(box.owner)

    def _judge_suspects(self, now: float) -> None:
        suspects, self._suspects = self._suspects, {}
        for box, before in suspects.items():
            if box.paused and self.flusher.over(box):
                if _has_taken(box, before):
                    self._suspect(box)
                else:
                    self._too_slow(box.owner)


def _has_taken(box: Outbox, before: tuple[int, int]) -> bool:
    """Whether a client has taken anything since ``before``: (count of takings, bytes in the transport's buffer)."""
    taken, waiting = before
    return box.taken != taken or box.sink.get_write_buffer_size() < waiting

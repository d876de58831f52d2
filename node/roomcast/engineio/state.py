"""What the parts of the engine share: its fields, and the methods that they ask each other for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.counts import Counts
from roomcast.engineio.deadlines import Deadlines
from roomcast.engineio.heartbeat import Wheel
from roomcast.engineio.outbox import Flusher
from roomcast.engineio.session import Link, Session
from roomcast.engineio.trace import Trace
from roomcast.settings import Settings


class EngineState:
    """The fields of :class:`roomcast.engineio.engine.Engine`, which makes them."""

    settings: Settings
    policy: OriginPolicy
    counts: Counts
    sessions: dict[str, Session]
    wheel: Wheel[Session]
    deadlines: Deadlines
    flusher: Flusher
    trace: Trace | None
    on_wake: Callable[[], object]
    now: float

    if TYPE_CHECKING:

        def close(
            self, session: Session, reason: str, code: int | None = None, at_once: bool = False, detail: str = ""
        ) -> Any:
            """End a session."""

        def candidate_lost(self, session: Session, link: Link, close: bool = False) -> Any:
            """Give up a WebSocket that was to take a session over."""

        def _await_last_poll(self, session: Session) -> None:
            """Keep a session that the server has closed until its client has read so."""

        def _abandon(self, session: Session) -> Any:
            """Let go of a session that has ended, and of its candidate."""

        def _forget(self, session: Session) -> None:
            """Let go of a session that has ended."""

        def _control(self, session: Session, text: bytes, now: float) -> tuple[Any, bool]:
            """Handle a packet that is no text message."""

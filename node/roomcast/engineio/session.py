"""One Engine.IO session: what is known of a client between its handshake and its end."""

from __future__ import annotations

from typing import Any, Protocol

from roomcast.engineio.deadlines import Deadline
from roomcast.engineio.heartbeat import Beat
from roomcast.engineio.outbox import Outbox
from roomcast.engineio.polling import Polling
from roomcast.engineio.request import Request
from roomcast.engineio.transitions import CLOSED, OPEN, OPENED, OPENING, PROBED, SESSION, UPGRADING


class Upper(Protocol):
    """The application of one session: Socket.IO, or whatever stands on bare Engine.IO.

    Each method may return work for the driver (see :mod:`roomcast.engineio.work`), or None. None may raise.
    """

    def receive_text(self, payload: bytes, /) -> Any:
        """A text message; ``payload`` still begins with the packet type ``4`` and is not yet checked as UTF-8."""

    def receive_binary(self, payload: bytes, /) -> Any:
        """A binary message."""

    def closed(self, reason: str, /) -> Any:
        """The session has ended, whatever the cause; called exactly once."""


class Link(Protocol):
    """A WebSocket connection as the engine sees it. ``sink`` takes whole frames; ``paused`` mirrors the transport."""

    sink: Any
    paused: bool


class Session(Beat):
    """A client's connection, whatever transports carry it. Its own fields belong to :class:`~.engine.Engine`."""

    __slots__ = (
        "candidate",
        "candidate_state",
        "deadline",
        "link",
        "outbox",
        "polling",
        "request",
        "sid",
        "state",
        "transport",
        "upper",
    )

    def __init__(self, sid: str, request: Request, transport: str) -> None:
        super().__init__()
        self.sid = sid
        self.request = request
        self.transport = transport
        self.state = SESSION[OPENING, OPENED]
        self.upper: Upper
        self.outbox: Outbox
        self.link: Link | None = None
        self.polling: Polling | None = None
        self.candidate: Link | None = None
        self.candidate_state = ""
        self.deadline: Deadline | None = None

    @property
    def upgrading(self) -> bool:
        """Whether a WebSocket is being probed for this session."""
        return self.candidate is not None

    @property
    def probed(self) -> bool:
        """Whether that WebSocket has had its ``3probe``: its client polls no more than once before it sends ``5``."""
        return self.candidate_state == PROBED

    @property
    def alive(self) -> bool:
        """Whether it takes and gives messages."""
        return self.state in (OPEN, UPGRADING)

    @property
    def closed(self) -> bool:
        """Whether the session has ended for good."""
        return self.state == CLOSED

"""One client in one namespace: what rooms, sessions and acknowledgements hang on."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Final

from roomcast.engineio.outbox import Outbox

if TYPE_CHECKING:
    from roomcast.core.client import Client
    from roomcast.core.hub import Namespace
    from roomcast.socketio.acks import AckTable

# The life of a socket. DOOMED: its connection ended, or it was told to go, while its connect handler was still running.
CONNECTING: Final = 0
CONNECTED: Final = 1
DOOMED: Final = 2
LEAVING: Final = 3
GONE: Final = 4


class Socket:
    """A Socket.IO socket. Fields are changed by :mod:`roomcast.core` only.

    ``outbox`` is its connection's, or one that holds back while the connect handler runs. ``rooms`` (in order of
    joining, without its own), ``session``, ``acks`` and ``held`` are None until something is in them.
    """

    __slots__ = ("acks", "client", "held", "namespace", "outbox", "reason", "rooms", "session", "sid", "state")

    def __init__(self, sid: str, namespace: Namespace, client: Client, outbox: Outbox) -> None:
        self.sid = sid
        self.namespace = namespace
        self.client = client
        self.outbox = outbox
        self.state = CONNECTING
        self.reason: str | None = None
        self.rooms: dict[Hashable, None] | None = None
        self.session: Any = None
        self.acks: AckTable[Any] | None = None
        self.held: list[tuple[list[Any], int | None]] | None = None

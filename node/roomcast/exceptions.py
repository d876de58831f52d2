"""The exceptions that applications catch, under the names that they know (python-api.md 1.2).

::

    SocketIOError
    ├── ConnectionError (builtins.ConnectionError)
    │   └── ConnectionRefusedError    raised by a connect handler to refuse a client
    ├── TimeoutError (builtins.TimeoutError)    a client did not answer ``call`` in time
    ├── BadNamespaceError             clients only; kept for applications that name it
    ├── DisconnectedError             the client that was asked has gone
    │   └── NodeLostError             the node that serves it has gone, or is out of reach
    ├── AnswerTooLargeError           a client of another node answered more than a broker message holds
    └── TooManyPendingError           so many answers are awaited of one client that the oldest was given up
"""

from __future__ import annotations

import builtins
from typing import Any

from roomcast.errors import RoomcastError

__all__ = [
    "AnswerTooLargeError",
    "BadNamespaceError",
    "ConnectionError",
    "ConnectionRefusedError",
    "DisconnectedError",
    "NodeLostError",
    "SocketIOError",
    "TimeoutError",
    "TooManyPendingError",
]


class SocketIOError(RoomcastError):
    """Root of what the public API raises."""


class ConnectionError(SocketIOError, builtins.ConnectionError):  # the name that applications import
    """A connection could not be made."""


class ConnectionRefusedError(ConnectionError):  # the name that applications import
    """Raise it in a connect handler to refuse the client.

    Without arguments the client reads a standard message; the first argument is the message; one more becomes
    ``data``, and several more a list of them. ``error_args`` is what goes into the CONNECT_ERROR packet.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.error_args: dict[str, Any] = {"message": str(args[0]) if args else "Connection rejected by server"}
        if len(args) == 2:
            self.error_args["data"] = args[1]
        elif len(args) > 2:
            self.error_args["data"] = list(args[1:])


class TimeoutError(SocketIOError, builtins.TimeoutError):  # the name that applications import
    """A client did not answer in time."""


class BadNamespaceError(SocketIOError):
    """A client is not connected to that namespace."""


class DisconnectedError(SocketIOError):
    """The client has gone, so it will never answer."""


class NodeLostError(DisconnectedError):
    """The node that the client is on has gone, or was not heard of for a lease. Perhaps it answered."""


class AnswerTooLargeError(SocketIOError):
    """The client answered, and its answer does not fit into one message between nodes."""


class TooManyPendingError(SocketIOError):
    """So many answers are awaited of one client that the oldest was given up."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} answers awaited of one client (max_pending_acks); the oldest is given up")

"""The errors of brokers, and whose fault each of them is.

::

    BrokerError
    ├── BrokerURLError (ValueError)         the operator's: a URL that names no back end, or wrongly
    ├── MissingExtraError (ImportError)     the operator's: the back end's package is not installed; names the extra
    ├── AddressError (ValueError)           the application's: a target or channel that cannot exist
    ├── RoomTypeError (TypeError)           the application's: a room name that cannot travel
    ├── UnencodableError (TypeError)        the application's: data that cannot be put on the wire
    ├── MessageTooLargeError (ValueError)   the application's: more than one broker message may hold
    ├── KeyRingError (ValueError)           the operator's: keys that cannot sign
    ├── EnvelopeError                       a peer's, or a stranger's: bytes that are no message for us
    ├── BrokerUnreachableError (ConnectionError)   nobody's here: the broker is away; trying again later may help
    │   └── SendError                       the same, and how much of what was to be sent is surely there
    └── BrokerClosedError                   the caller's: used before open() or after close()
"""

from __future__ import annotations


class BrokerError(Exception):
    """Root of the tree."""


class BrokerURLError(BrokerError, ValueError):
    """The URL of a broker names no back end, or something in it cannot work. Never quotes the URL: it may hold a
    password.
    """


class MissingExtraError(BrokerError, ImportError):
    """The back end exists, but the package it needs is not installed; the message is the command that installs it."""


class AddressError(BrokerError, ValueError):
    """A target or a channel that cannot exist; raised before anything is sent."""


class RoomTypeError(BrokerError, TypeError):
    """A room whose name is neither ``str`` nor ``int`` has no name on other nodes."""


class UnencodableError(BrokerError, TypeError):
    """The application emitted something that has no form on the wire; raised at the call, before anything is sent."""


class MessageTooLargeError(BrokerError, ValueError):
    """The message does not fit into one broker message; raised before anything is sent."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size:,} bytes are more than the {limit:,} that one broker message may hold")
        self.size = size
        self.limit = limit


class BrokerUnreachableError(BrokerError, ConnectionError):
    """The broker did not take it; nothing is known to have been delivered."""


class SendError(BrokerUnreachableError):
    """A sender could not send everything: the first ``accepted`` messages are with the broker, the others may be."""

    def __init__(self, message: str, accepted: int = 0) -> None:
        super().__init__(message)
        self.accepted = accepted


class KeyRingError(BrokerError, ValueError):
    """Keys that cannot sign: empty, or twice the same. Never quotes a key."""


class EnvelopeError(BrokerError):
    """Bytes from the broker that are no message for us. ``reason`` is one of a fixed set of words, for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class BrokerClosedError(BrokerError):
    """The broker was used before ``open()`` or after ``close()``."""

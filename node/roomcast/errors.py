"""The errors of the node, and whose fault each of them is.

::

    RoomcastError
    ├── SettingsError (ValueError)      the operator's or the application's: a setting that cannot work
    ├── PacketError                     the client's: what it sent is no packet; its connection is closed
    └── UnencodableError (TypeError)    the application's: data that cannot be put on the wire

What applications catch under python-socketio's names is in :mod:`roomcast.exceptions`.
"""

from __future__ import annotations

from roomcast_brokers import errors as brokers


class RoomcastError(Exception):
    """Root of the tree."""


class SettingsError(RoomcastError, ValueError):
    """A setting that cannot work; the message says what would."""


class PacketError(RoomcastError):
    """What a client sent is not a packet of the protocol; the connection ends with ``parse error``.

    ``kind`` is a short fixed word for counting (``json``, ``attachments``, ``name`` …), never client data.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class UnencodableError(RoomcastError, brokers.UnencodableError):
    """The application emitted something that has no form on the wire; raised at the call, before anything was sent."""

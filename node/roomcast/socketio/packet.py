"""The Socket.IO v5 packet: its seven types and the frozen value that one packet is.

A :class:`~roomcast.errors.PacketError` raised in this package has one of these kinds: ``type`` (unknown, or not for
clients), ``attachments`` (their count, order, size or placeholders), ``namespace``, ``id``, ``payload`` (missing or of
the wrong shape), ``json`` or ``msgpack`` (not decodable), ``depth``, ``number``, ``name`` (of an event).
"""

from __future__ import annotations

from typing import Any

import msgspec

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)


class Packet(msgspec.Struct, frozen=True):
    """One packet as it was read.

    ``data`` is a list for events (its first element is the name) and acknowledgements, a dict or ``None`` for CONNECT
    and ``None`` for DISCONNECT. ``attachments`` binary messages have yet to follow when the type is BINARY_EVENT or
    BINARY_ACK; :class:`~roomcast.socketio.attachments.Assembly` turns those two into EVENT and ACK.
    """

    type: int
    namespace: str = "/"
    data: Any = None
    id: int | None = None
    attachments: int = 0

"""Packets under the path that applications import them from."""

from __future__ import annotations

from roomcast.socketio.packet import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    Packet,
)

__all__ = ["ACK", "BINARY_ACK", "BINARY_EVENT", "CONNECT", "CONNECT_ERROR", "DISCONNECT", "EVENT", "Packet"]

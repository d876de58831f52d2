"""The packet value."""

from __future__ import annotations

import pytest

from roomcast.socketio import packet
from roomcast.socketio.packet import CONNECT, EVENT, Packet


def test_the_types_have_the_numbers_of_the_protocol() -> None:
    names = ["CONNECT", "DISCONNECT", "EVENT", "ACK", "CONNECT_ERROR", "BINARY_EVENT", "BINARY_ACK"]
    assert [getattr(packet, name) for name in names] == [0, 1, 2, 3, 4, 5, 6]


def test_a_packet_is_a_frozen_value() -> None:
    assert Packet(CONNECT) == Packet(CONNECT, "/", None, None, 0)
    assert Packet(EVENT, "/", ["a"]) != Packet(EVENT, "/", ["b"])
    with pytest.raises(AttributeError):
        Packet(CONNECT).type = EVENT  # type: ignore[misc]  # that is the test

"""Header packets and the binary messages that complete them."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.errors import PacketError
from roomcast.socketio.attachments import Assembly, placeholders
from roomcast.socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, EVENT, Packet


def place(num: Any) -> dict[str, Any]:
    return {"_placeholder": True, "num": num}


def header(*args: Any, count: int = 1, type: int = BINARY_EVENT) -> Packet:
    return Packet(type, "/a", list(args), 3, count)


def test_the_last_attachment_completes_the_packet() -> None:
    assembly = Assembly(header("e", place(0), [1, {"x": place(1)}], count=2), 100)
    assert assembly.missing == 2
    assert assembly.feed(b"one") is None
    assert assembly.missing == 1
    assert assembly.feed(b"") == Packet(EVENT, "/a", ["e", b"one", [1, {"x": b""}]], 3)
    assert assembly.missing == 0


def test_an_acknowledgement_is_completed_too() -> None:
    assert Assembly(header(place(0), type=BINARY_ACK), 100).feed(b"x") == Packet(ACK, "/a", [b"x"], 3)


def test_placeholders_count_not_their_order() -> None:
    assembly = Assembly(header("e", place(1), place(0), place(1), count=2), 100)
    assembly.feed(b"a")
    assert assembly.feed(b"b") == Packet(EVENT, "/a", ["e", b"b", b"a", b"b"], 3)


def test_an_attachment_without_a_place_is_dropped() -> None:
    assert Assembly(header("e"), 100).feed(b"a") == Packet(EVENT, "/a", ["e"], 3)


@pytest.mark.parametrize("data", [{"_placeholder": 1, "num": 0}, {"_placeholder": False}, {"num": 0}, {}])
def test_what_is_no_placeholder_stays(data: dict[str, Any]) -> None:
    assert Assembly(header("e", data), 100).feed(b"a") == Packet(EVENT, "/a", ["e", data], 3)


@pytest.mark.parametrize("num", [None, True, -1, 1, 0.0, "0", [0], 10**40])
def test_a_wrong_number_is_refused_before_anything_is_buffered(num: Any) -> None:
    with pytest.raises(PacketError) as caught:
        Assembly(header("e", {"x": [place(num)]}), 100)
    assert caught.value.kind == "attachments"


def test_a_placeholder_without_number_is_refused() -> None:
    with pytest.raises(PacketError):
        placeholders([{"_placeholder": True}], 1)


@pytest.mark.parametrize(("first", "second"), [(4, 5), (0, 10), (10, 0)])
def test_attachments_may_fill_the_limit(first: int, second: int) -> None:
    assembly = Assembly(header("e", place(0), count=2), 10)
    assert assembly.feed(b"x" * first) is None
    assert assembly.feed(b"x" * second) is not None


def test_one_byte_more_than_the_limit_is_refused() -> None:
    assembly = Assembly(header("e", place(0), count=2), 10)
    assembly.feed(b"x" * 5)
    with pytest.raises(PacketError, match="too long") as caught:
        assembly.feed(b"x" * 6)
    assert caught.value.kind == "attachments"


def test_depth_costs_no_stack() -> None:
    data: list[Any] = [place(0)]
    for _ in range(100_000):
        data = [data]
    (place_found,) = placeholders(data, 1)
    assert place_found[1:] == (0, 0)
    while data:  # taken apart by hand: the interpreter would recurse
        data, rest = (data[0], data) if type(data[0]) is list else ([], data)
        rest.clear()

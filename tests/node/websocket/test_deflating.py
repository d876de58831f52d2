"""Blocks on their way to clients that agreed to compression."""

from __future__ import annotations

from roomcast.websocket import deflating
from roomcast.websocket.deflate import inflate
from roomcast.websocket.deflating import THRESHOLD, DeflatingSink
from roomcast.websocket.frames import TEXT, FrameReader, ping_frame, text_frame
from tests.support.counting import RecordingTransport

LONG = text_frame(b"x" * THRESHOLD)


def unmasked(block: bytes) -> list[tuple[int, bytes]]:
    """Frames of a compressed block: (first byte, payload), payloads inflated."""
    frames = []
    while block:
        size, start = block[1], 2
        if size == 126:
            size, start = int.from_bytes(block[2:4], "big"), 4
        payload = block[start : start + size]
        frames.append((block[0], inflate(payload, 100_000) if block[0] & 0x40 else payload))
        block = block[start + size :]
    return frames


def test_long_frames_are_compressed_short_ones_and_controls_are_not() -> None:
    transport = RecordingTransport()
    DeflatingSink(transport).write(text_frame(b"short") + ping_frame(b"?") + LONG)
    assert unmasked(transport.blocks[0]) == [
        (0x80 | TEXT, b"short"),
        (0x89, b"?"),
        (0xC0 | TEXT, b"x" * THRESHOLD),
    ]


def test_a_block_for_many_clients_is_compressed_once() -> None:
    first, second = RecordingTransport(), RecordingTransport()
    DeflatingSink(first).write(LONG)
    DeflatingSink(second).write(LONG)
    assert first.blocks == second.blocks
    assert DeflatingSink._last[0] is LONG
    another = text_frame(b"y" * THRESHOLD)
    DeflatingSink(first).write(another)
    assert unmasked(first.blocks[1]) == [(0xC1, b"y" * THRESHOLD)]


def test_equal_blocks_that_are_not_the_same_object_are_right_too() -> None:
    transport = RecordingTransport()
    sink = DeflatingSink(transport)
    sink.write(LONG)
    sink.write(bytes(bytearray(LONG)))
    assert unmasked(transport.blocks[0]) == unmasked(transport.blocks[1])


def test_what_the_transport_has_not_written_is_passed_on() -> None:
    class Full(RecordingTransport):
        def get_write_buffer_size(self) -> int:
            return 42

    assert DeflatingSink(Full()).get_write_buffer_size() == 42


def test_a_compressed_frame_is_what_our_own_reader_takes() -> None:
    from tests.support.masked import masked_frame

    transport = RecordingTransport()
    DeflatingSink(transport).write(LONG)
    block = transport.blocks[0]
    start = 4 if block[1] == 126 else 2
    reader = FrameReader(100_000, 10, inflate)
    assert reader.receive(masked_frame(TEXT, block[start:], reserved=0x40)) == [(TEXT, b"x" * THRESHOLD)]
    assert deflating.THRESHOLD == 1_024

"""Which coding a client gets, and when none."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.compression import choose, compress

LONG = b"4" + b"hello " * 400
CONTAINERS = {b"gzip": 31, b"deflate": 15}


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (b"", None),
        (b"br", None),
        (b"identity", None),
        (b"gzip", b"gzip"),
        (b"deflate", b"deflate"),
        (b"GZIP", b"gzip"),
        (b"gzip, deflate, br, zstd", b"gzip"),
        (b"deflate, gzip", b"deflate"),
        (b"deflate;q=0.9, gzip;q=0.8", b"deflate"),
        (b"gzip;q=0, deflate", b"deflate"),
        (b"gzip;q=0", None),
        (b"gzip;q=0.000", None),
        (b"gzip ; Q = 1.0", b"gzip"),
        (b"gzip;q=2", None),
        (b"gzip;q=nan", None),
        (b"gzip;level=9", None),
        (b"*", b"gzip"),
        (b"*;q=0", None),
        (b"gzip;q=0, *", b"deflate"),
        (b"gzip;q=0, deflate;q=0, *", None),
        (b"xgzip", None),
    ],
)
def test_choose(accepted: bytes, coding: bytes | None) -> None:
    assert choose(accepted) == coding


@given(st.binary(max_size=40))
def test_no_header_breaks_it(accepted: bytes) -> None:
    assert choose(accepted) in {None, b"gzip", b"deflate"}


@pytest.mark.parametrize("accepted", [b"gzip", b"deflate"])
def test_what_is_compressed_inflates_again(accepted: bytes) -> None:
    body, coding = compress(LONG, accepted, 1024)
    assert coding == accepted
    assert len(body) < len(LONG)
    assert zlib.decompress(body, wbits=CONTAINERS[accepted]) == LONG


@pytest.mark.parametrize(("threshold", "compressed"), [(-1, True), (0, True), (1, False)])
def test_the_threshold(threshold: int, compressed: bool) -> None:
    body, coding = compress(LONG, b"gzip", len(LONG) + threshold)
    assert (coding is not None) is compressed
    assert (body == LONG) is not compressed


def test_it_stays_when_nobody_asked_or_can_read_it() -> None:
    assert compress(LONG, None, 0) == (LONG, None)
    assert compress(LONG, b"br", 0) == (LONG, None)


def test_it_stays_when_compressing_would_not_shorten_it() -> None:
    assert compress(b"4a", b"gzip", 0) == (b"4a", None)

"""Bodies that are not even read."""

from __future__ import annotations

import pytest

from roomcast.engineio.bodies import BodyError, check_head
from roomcast.engineio.request import Request

LIMIT = 100


def post(*headers: tuple[bytes, bytes]) -> Request:
    return Request.from_pairs("POST", "/socket.io/", b"", headers)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ((b"content-length", b"100"),),
        ((b"content-encoding", b"identity"),),
        ((b"content-encoding", b""),),
        ((b"content-length", b"many"),),
    ],
)
def test_bodies_that_are_read(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    check_head(post(*headers), LIMIT)


@pytest.mark.parametrize(
    ("header", "status", "label"),
    [
        ((b"content-length", b"101"), 413, "body_too_large"),
        ((b"content-encoding", b"gzip"), 415, "content_encoding"),
    ],
)
def test_bodies_that_are_not(header: tuple[bytes, bytes], status: int, label: str) -> None:
    with pytest.raises(BodyError) as refused:
        check_head(post(header), LIMIT)
    assert (refused.value.status, refused.value.label) == (status, label)

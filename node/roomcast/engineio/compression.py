"""Compression of polling answers: gzip or deflate, whichever the client would rather have (RFC 9110 12.5.3)."""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from typing import Final

GZIP: Final = b"gzip"
DEFLATE: Final = b"deflate"

# Each coding with zlib's name for its container.
_CONTAINERS: Final = {GZIP: 31, DEFLATE: 15}
_QUALITY = re.compile(rb"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)  # RFC 9110 12.4.2


def compress(body: bytes, accept_encoding: bytes | None, threshold: int) -> tuple[bytes, bytes | None]:
    """The body as it is to be sent, and the value of ``Content-Encoding``: None when it stays as it is.

    It stays when it is shorter than ``threshold`` bytes, when the client accepts neither coding, and when compressing
    would not shorten it.
    """
    if accept_encoding is None or len(body) < threshold:
        return body, None
    coding = choose(accept_encoding)
    if coding is None:
        return body, None
    compressor = zlib.compressobj(wbits=_CONTAINERS[coding])
    smaller = compressor.compress(body) + compressor.flush()
    return (smaller, coding) if len(smaller) < len(body) else (body, None)


@lru_cache(64)  # a handful of browsers send a handful of values
def choose(accept_encoding: bytes) -> bytes | None:
    """The coding with the highest quality among ours; None when none is. A quality that cannot be read counts as 0."""
    qualities: dict[bytes, float] = {}
    for item in accept_encoding.lower().split(b","):
        coding, _, weight = item.partition(b";")
        qualities[coding.strip()] = _quality(weight)
    anything = qualities.get(b"*", 0.0)
    named = [coding for coding in qualities if coding in _CONTAINERS]  # of two liked equally, the one named first
    best = max((*named, *_CONTAINERS), key=lambda coding: qualities.get(coding, anything))
    return best if qualities.get(best, anything) > 0 else None


def _quality(weight: bytes) -> float:
    if not weight:
        return 1.0
    match = _QUALITY.fullmatch(weight)
    return float(match[1]) if match else 0.0

"""The opening handshake, server side (RFC 6455 section 4.2): from a request's line and headers to the whole answer."""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from hashlib import sha1

import msgspec

from roomcast.websocket.deflate import negotiate

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64
_HEADER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\r\n\0]*")

_HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
_END = b"\r\n\r\n"


class Accepted(msgspec.Struct, frozen=True):
    """``response`` is the whole head of the 101 answer; ``deflate`` whether permessage-deflate was agreed upon."""

    response: bytes
    deflate: bool = False


class Refused(msgspec.Struct, frozen=True):
    """The HTTP answer to a request that is no WebSocket handshake, or one we cannot serve."""

    status: int
    reason: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def accept(
    method: str,
    http_version: str,
    header: Callable[[bytes], bytes | None],
    *,
    deflate: bool = False,
    extra_headers: Sequence[tuple[bytes, bytes]] = (),
) -> Accepted | Refused:
    """Judge a handshake.

    ``header`` gives a request header by its lower-case name, those of one name joined by ``b", "``, None when absent;
    ``http_version`` is "1.1". With ``deflate`` an offered permessage-deflate is taken. No subprotocol is ever chosen.
    Raises ValueError for an extra header that would break the answer apart.
    """
    refused = _check_request(method, http_version, header)
    if refused is not None:
        return refused
    key = header(b"sec-websocket-key")
    if key is None or _KEY.fullmatch(key) is None:
        return Refused(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    response = [_HEAD, b2a_base64(sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)]
    offers = header(b"sec-websocket-extensions") if deflate else None
    agreed = negotiate(offers) if offers else None
    if agreed is not None:
        response += (b"\r\nSec-WebSocket-Extensions: ", agreed)
    for name, value in extra_headers:
        line = name + b": " + value
        if _HEADER.fullmatch(line) is None:
            raise ValueError(f"not a response header: {line!r}")
        response += (b"\r\n", line)
    response.append(_END)
    return Accepted(b"".join(response), agreed is not None)


def _check_request(method: str, http_version: str, header: Callable[[bytes], bytes | None]) -> Refused | None:
    """Sections 4.2.1 and 4.4, without the key."""
    if method != "GET":
        return Refused(405, "a WebSocket handshake is a GET", ((b"Allow", b"GET"),))
    if http_version != "1.1":
        return Refused(505, "a WebSocket handshake needs HTTP/1.1")
    host = header(b"host")
    if not host or b"," in host:
        return Refused(400, "exactly one Host is needed")
    if not _names(header(b"upgrade"), b"websocket"):
        return Refused(
            426, "Upgrade does not name websocket", ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))
        )
    if not _names(header(b"connection"), b"upgrade"):
        return Refused(400, "Connection does not name upgrade")
    if header(b"sec-websocket-version") != b"13":
        return Refused(426, "only version 13 is spoken", ((b"Sec-WebSocket-Version", b"13"),))
    return None


def _names(value: bytes | None, token: bytes) -> bool:
    """Whether a comma-separated header has ``token``, as a whole and in any case."""
    if value is None:
        return False
    value = value.lower()
    return value == token or token in [part.strip(b" \t") for part in value.split(b",")]

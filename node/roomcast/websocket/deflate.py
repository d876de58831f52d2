"""permessage-deflate (RFC 7692) without context takeover: nothing is kept between two messages.

So an idle connection costs no memory, and one compressed frame serves every connection that has the extension: its
window has 12 bits, and an offer that asks for less is declined. Inflating is bounded inside the inflater.
"""

from __future__ import annotations

import re
import zlib

from roomcast.websocket.closecodes import INVALID_DATA, TOO_BIG, Failure, MessageFault
from roomcast.websocket.frames import BINARY, TEXT, head, split_frames

WINDOW_BITS = 12
_INFLATE_BITS = 15  # a client that did not offer client_max_window_bits may use the widest window
_LEVEL = 6
# With 12 bits that is 48 KiB for the moment of compressing; 8 would take 144 KiB and gain less than 1 %.
_MEMORY_LEVEL = 6

_TAIL = b"\0\0\xff\xff"  # what a sync flush ends with, and the wire leaves out (7.2.1)
_FINAL = b"\3\0"  # an empty last block: only a stream that is whole so far reaches it
# What may stand behind a last block that the client itself has marked: 7.2.3.4 puts one zero byte there.
_AFTER_FINAL = frozenset({b"", _TAIL + _FINAL, b"\0" + _TAIL + _FINAL})

_BITS = re.compile(rb"8|9|1[0-5]")
_FIN, _RSV1 = 0x80, 0x40


class TooLong(MessageFault):
    """The message would be longer than allowed when inflated."""

    def __init__(self) -> None:
        super().__init__(Failure(TOO_BIG, "message too big"))


class NotDeflated(MessageFault):
    """The payload is not a deflated message."""

    def __init__(self) -> None:
        super().__init__(Failure(INVALID_DATA, "message does not inflate"))


def inflate(payload: bytes, limit: int) -> bytes:
    """One message inflated (7.2.2), never taking much more than ``limit`` bytes; raises TooLong or NotDeflated."""
    inflater = zlib.decompressobj(-_INFLATE_BITS)
    try:
        plain = inflater.decompress(payload + _TAIL + _FINAL, limit + 1)
    except zlib.error as error:
        raise NotDeflated from error
    if len(plain) > limit:
        raise TooLong
    if not inflater.eof or inflater.unused_data not in _AFTER_FINAL:
        raise NotDeflated
    return plain


def deflate(payload: bytes) -> bytes:
    """One message deflated (7.2.1)."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, -WINDOW_BITS, _MEMORY_LEVEL)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


def compress_unit(unit: bytes, threshold: int = 0) -> bytes:
    """A unit of whole, unmasked frames with every message of at least ``threshold`` bytes deflated.

    The same for every connection that has the extension, so callers keep it. Control frames stay as they are (6).
    """
    frames = []
    for opcode, payload in split_frames(unit):
        first = _FIN | opcode
        if opcode in (TEXT, BINARY) and len(payload) >= threshold:
            first, payload = first | _RSV1, deflate(payload)
        frames.append(head(first, len(payload)) + payload)
    return b"".join(frames)


def negotiate(offers: bytes) -> bytes | None:
    """The answer to a Sec-WebSocket-Extensions header: the first offer that can be taken (section 5), None for none.

    An offer that is malformed or asks for what we do not do is declined, as section 5.1 wants, not an error.
    """
    for offer in offers.split(b","):
        answer = _take(offer)
        if answer is not None:
            return answer
    return None


def _take(offer: bytes) -> bytes | None:
    """The answer to one offer. Parameters that the client did not name are only sent where we need them (7.1)."""
    name, *parameters = [part.strip(b" \t") for part in offer.split(b";")]
    if name.lower() != b"permessage-deflate":
        return None
    asked: dict[bytes, bytes | None] = {}
    for parameter in parameters:
        key, equals, value = parameter.partition(b"=")
        key = key.strip(b" \t").lower()
        if key in asked or key not in _PARAMETERS:
            return None
        asked[key] = _unquote(value.strip(b" \t")) if equals else None
        if not _PARAMETERS[key](asked[key]):
            return None
    answer = [b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"]
    if b"server_max_window_bits" in asked:
        answer.append(b"server_max_window_bits=%d" % WINDOW_BITS)
    if b"client_max_window_bits" in asked:
        bits = int(asked[b"client_max_window_bits"] or WINDOW_BITS)
        answer.append(b"client_max_window_bits=%d" % min(bits, WINDOW_BITS))
    return b"; ".join(answer)


def _unquote(value: bytes) -> bytes:
    """A parameter's value may be quoted (RFC 6455 section 9.1)."""
    return value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value


def _is_flag(value: bytes | None) -> bool:
    return value is None


def _is_server_bits(value: bytes | None) -> bool:
    return value is not None and _BITS.fullmatch(value) is not None and int(value) >= WINDOW_BITS


def _is_client_bits(value: bytes | None) -> bool:
    return value is None or _BITS.fullmatch(value) is not None


# What each parameter of an offer may carry so that we can take it (7.1.1, 7.1.2).
_PARAMETERS = {
    b"server_no_context_takeover": _is_flag,
    b"client_no_context_takeover": _is_flag,
    b"server_max_window_bits": _is_server_bits,
    b"client_max_window_bits": _is_client_bits,
}

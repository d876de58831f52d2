"""The status codes of the closing handshake (RFC 6455 section 7.4, and the IANA registry), and reading a Close frame.

Which code answers which fault is decided where the fault is found.
"""

from __future__ import annotations

import msgspec

from roomcast.errors import RoomcastError

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED_DATA = 1003
NO_STATUS = 1005  # "the frame carried no code": never travels
ABNORMAL = 1006  # "no Close frame came": never travels
INVALID_DATA = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009
MISSING_EXTENSION = 1010  # only a client can miss an extension
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
BAD_GATEWAY = 1014
TLS_FAILED = 1015  # never travels

# A control frame has at most 125 bytes (section 5.5), two of them are the code.
MAX_REASON_BYTES = 123

_RECEIVABLE = frozenset({*range(NORMAL, UNSUPPORTED_DATA + 1), *range(INVALID_DATA, BAD_GATEWAY + 1)})
_SENDABLE = _RECEIVABLE - {MISSING_EXTENSION}


class Failure(msgspec.Struct, frozen=True):
    """Why a connection cannot go on: the close code to send, and a short reason without any client data."""

    code: int
    reason: str


class MessageFault(RoomcastError):
    """A message that a decoder refuses; ``failure`` is what the client is told."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def may_receive(code: int) -> bool:
    """Whether a client's Close frame may carry ``code``; 3000 to 4999 belong to libraries and applications (7.4.2)."""
    return code in _RECEIVABLE or 3000 <= code <= 4999


def may_send(code: int) -> bool:
    """Whether a server's Close frame may carry ``code``."""
    return code in _SENDABLE or 3000 <= code <= 4999


def parse_close(payload: bytes) -> tuple[int | None, str] | Failure:
    """The code and reason in a received Close frame (section 5.5.1), ``(None, "")`` for an empty one, or the fault."""
    if not payload:
        return None, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not may_receive(code):
        return Failure(PROTOCOL_ERROR, "invalid close code")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        return Failure(INVALID_DATA, "close reason is not UTF-8")


def render_close(code: int | None, reason: str) -> bytes:
    """The payload of a Close frame to send; a reason that is too long is cut between two characters.

    Raises ValueError for a code that a server must not send, and for a reason without a code.
    """
    if code is None:
        if reason:
            raise ValueError("a close reason needs a close code")
        return b""
    if not may_send(code):
        raise ValueError(f"a server must not close with code {code!r}")
    text = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES]
    return code.to_bytes(2, "big") + text.decode("utf-8", "ignore").encode()

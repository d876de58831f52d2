"""What came back for a request, as values: an HTTP answer, or why there was none."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from roomcast.doctor.wording import duration

NODE_HEADER: Final = "x-roomcast-node"

# Codes of Engine.IO's error bodies (``{"code":1,"message":"Session ID unknown"}``).
TRANSPORT_UNKNOWN: Final = 0
SID_UNKNOWN: Final = 1
BAD_REQUEST: Final = 3

# What proxies write that do not say their name in `Server`.
_SIGNS: Final = (
    (b"No server is available to handle this request", "HAProxy"),
    (b"The server didn't respond in time", "HAProxy"),
    (b"The server returned an invalid or incomplete response", "HAProxy"),
    (b"Your browser sent an invalid request", "HAProxy"),
    (b"404 page not found", "traefik"),
)
_SERVER: Final = re.compile(r"[A-Za-z][A-Za-z0-9 ._/()-]{0,40}")
_LONGEST_MESSAGE: Final = 80  # characters of a server's own words that are repeated


class Answer(msgspec.Struct, frozen=True):
    """A whole answer. Header names are lower case and may repeat; ``seconds`` from the request to its end."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    seconds: float = 0.0

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[str]:
        """Every header of that name."""
        return [value for each, value in self.headers if each == name]


class Trouble(msgspec.Struct, frozen=True):
    """There was no answer. ``text`` is what the system said, where it says more than the kind."""

    kind: Literal["name", "refused", "unreachable", "silent", "tls", "certificate", "cut", "garbled"]
    text: str = ""
    seconds: float = 0.0


Outcome = Answer | Trouble


class Ending(msgspec.Struct, frozen=True):
    """How a session of ours ended that we did not end: ``closed`` by a close frame with ``code`` or by a packet,
    ``cut`` without a word, ``refused`` by the ``outcome`` of one of its requests.
    """

    how: Literal["closed", "cut", "refused"]
    code: int | None = None
    outcome: Outcome | None = None


class _Fault(msgspec.Struct):
    code: int
    message: str = ""


def engine_fault(outcome: Outcome | None) -> tuple[int, str] | None:
    """Code and message, if this is how an Engine.IO server refuses."""
    if not isinstance(outcome, Answer) or outcome.status < 400:
        return None
    try:
        fault = msgspec.json.decode(outcome.body, type=_Fault)
    except msgspec.MsgspecError:
        return None
    return fault.code, fault.message[:_LONGEST_MESSAGE]


def engine_code(outcome: Outcome | None) -> int | None:
    """The code alone."""
    fault = engine_fault(outcome)
    return None if fault is None else fault[0]


def speaker(answer: Answer) -> str:
    """What answered, as far as it says so: ``nginx/1.22.1``; else nothing."""
    for sign, name in _SIGNS:
        if sign in answer.body:
            return name
    server = answer.header("server") or ""
    return server if _SERVER.fullmatch(server) else ""


def summary(outcome: Outcome) -> str:
    """What came back, in half a sentence."""
    if isinstance(outcome, Answer):
        fault = engine_fault(outcome)
        words = f' "{fault[1]}"' if fault is not None and fault[1] else ""
        return f"{speaker(outcome) or 'the server'} answers {outcome.status}{words}"
    return _TROUBLES[outcome.kind].format(text=outcome.text, time=duration(outcome.seconds))


_TROUBLES: Final = {
    "name": "the name has no address",
    "refused": "the connection is refused: nothing listens there",
    "unreachable": "there is no way there ({text})",
    "silent": "no answer within {time}",
    "tls": "TLS fails ({text})",
    "certificate": "the certificate is not accepted ({text})",
    "cut": "the connection was cut after {time}",
    "garbled": "what answers does not speak HTTP/1.1 ({text})",
}

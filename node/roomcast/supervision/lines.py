"""From what a node writes to lines that cannot harm a terminal, or who reads along."""

from __future__ import annotations

import re
from typing import Final

# Bytes. Longer lines are cut into several: whoever writes without a newline must not fill our memory.
MAX_LINE: Final = 16_384

# What is left of escape sequences: colours, the only ones that belong in a log.
_COLOUR: Final = r"\x1b\[[0-9;]{0,20}m"
_ESCAPED: Final = re.compile(rf"({_COLOUR})|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class LineSplitter:
    """Takes bytes as they come, and gives whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now, without their ends."""
        *whole, rest = (self._rest + data).split(b"\n")
        while len(rest) > MAX_LINE:
            whole.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        self._rest = rest
        return [clean(part) for line in whole for part in _cut(line)]

    def close(self) -> list[str]:
        """What came after the last end of a line."""
        rest, self._rest = self._rest, b""
        return [clean(rest)] if rest else []


def _cut(line: bytes) -> list[bytes]:
    return [line[at : at + MAX_LINE] for at in range(0, len(line), MAX_LINE)] or [b""]


def clean(line: bytes) -> str:
    """The line as text. Control characters stand as ``\\x1b``, so that what clients send, and the application logs,
    moves no cursor; colours are kept.
    """
    text = line.removesuffix(b"\r").decode("utf-8", "replace")
    return _ESCAPED.sub(lambda found: found[1] or ascii(found[0])[1:-1], text)

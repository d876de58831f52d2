"""Where the nodes' logs and their status meet: on a terminal, in which the status stays at the bottom and is drawn
again in place, or in a stream of plain lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TextIO

from roomcast.supervision.status import Mood, NodeView, Row, news, table

# Name of who writes, in front of each line of a log: all names of the columns are equally long.
OURS: Final = "up"

_MOODS: Final[dict[Mood, str]] = {"good": "\x1b[32m", "middling": "\x1b[33m", "bad": "\x1b[31m"}
# One for each node, over and over.
_NODE_COLOURS: Final = ("\x1b[36m", "\x1b[35m", "\x1b[34m", "\x1b[33m", "\x1b[32m")
_BOLD: Final = "\x1b[1m"
_DIM: Final = "\x1b[2m"
_PLAIN: Final = "\x1b[0m"

# A status that fills the terminal would leave no line for the logs.
_LINES_FOR_LOGS: Final = 3


class Screen(Protocol):
    """What the supervisor writes to. Never raises because of whoever reads: if nobody does, nothing is written."""

    def log(self, number: int | None, lines: Iterable[str]) -> None:
        """Lines of a node, or (None) our own."""

    def show(self, views: Sequence[NodeView], footer: str) -> None:
        """How the nodes stand now."""

    def close(self) -> None:
        """Leave things as they should be afterwards."""


class _Stream:
    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream

    def write(self, text: str) -> None:
        if self._stream is None or not text:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None  # whoever read is gone; the nodes go on all the same


def _prefix(number: int | None, width: int) -> str:
    name = OURS if number is None else f"node {number}"
    return f"{name:<{width}} | "


def _width(numbers: Sequence[int]) -> int:
    return len(f"node {max(numbers)}")


class PlainScreen:
    """Lines only: the logs, and a sentence when something about a node has changed."""

    def __init__(self, stream: TextIO, numbers: Sequence[int]) -> None:
        self._stream = _Stream(stream)
        self._width = _width(numbers)
        self._shown: dict[int, NodeView] = {}

    def log(self, number: int | None, lines: Iterable[str]) -> None:
        """As :meth:`Screen.log`."""
        prefix = _prefix(number, self._width)
        self._stream.write("".join(f"{prefix}{line}\n" for line in lines))

    def show(self, views: Sequence[NodeView], footer: str) -> None:
        """As :meth:`Screen.show`."""
        for view in views:
            sentence = news(self._shown.get(view.number), view)
            self._shown[view.number] = view
            if sentence is not None:
                self.log(None, [f"node {view.number} is {sentence}"])

    def close(self) -> None:
        """As :meth:`Screen.close`."""


class LiveScreen:
    """A terminal. The last lines are the status; what is logged goes above them. ``size()`` gives columns and lines."""

    def __init__(
        self, stream: TextIO, numbers: Sequence[int], size: Callable[[], tuple[int, int]], colours: bool
    ) -> None:
        self._stream = _Stream(stream)
        self._width = _width(numbers)
        self._size = size
        self._colours = colours
        self._drawn: list[str] = []

    def log(self, number: int | None, lines: Iterable[str]) -> None:
        """As :meth:`Screen.log`."""
        colour = _BOLD if number is None else _NODE_COLOURS[(number - 1) % len(_NODE_COLOURS)]
        prefix = self._painted(_prefix(number, self._width), colour)
        end = f"{_PLAIN}\n" if self._colours else "\n"
        text = "".join(f"{prefix}{line}{end}" for line in lines)
        if text:
            self._stream.write(self._erasing() + text + self._block())

    def show(self, views: Sequence[NodeView], footer: str) -> None:
        """As :meth:`Screen.show`."""
        columns, height = self._size()
        # The last column stays free: some terminals break the line there.
        rows = table(views, footer, max(1, columns - 1), max(2, height - _LINES_FOR_LOGS))
        drawn = [self._row(row, number, len(rows)) for number, row in enumerate(rows)]
        if drawn != self._drawn:
            erasing, self._drawn = self._erasing(), drawn
            self._stream.write(erasing + self._block())

    def close(self) -> None:
        """The status stays where it is, as the last word."""
        self._drawn = []

    def _erasing(self) -> str:
        return f"\x1b[{len(self._drawn)}A\r\x1b[J" if self._drawn else ""

    def _block(self) -> str:
        return "".join(f"{line}\n" for line in self._drawn)

    def _row(self, row: Row, number: int, rows: int) -> str:
        if row.mood is None:
            return self._painted(row.text, _BOLD if number == 0 else _DIM)
        end = row.at + row.length
        return row.text[: row.at] + self._painted(row.text[row.at : end], _MOODS[row.mood]) + row.text[end:]

    def _painted(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._colours and text else text

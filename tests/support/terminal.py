"""A terminal as far as `roomcast up` uses one: what a person sees after everything that was written."""

from __future__ import annotations

import re

_TOKENS = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b\[[0-9;]*m|([\r\n])|([^\x1b\r\n])")


class Terminal:
    """``columns`` wide; long lines wrap. Lines that scroll out are kept: ``text`` shows everything."""

    def __init__(self, columns: int = 80) -> None:
        self.columns = columns
        self._rows: list[str] = [""]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        """Take what a program writes. Fails the test on anything that is not understood."""
        at = 0
        while at < len(text):
            token = _TOKENS.match(text, at)
            assert token is not None, text[at : at + 20]
            at = token.end()
            number, command, move, character = token.groups()
            if character:
                self._put(character)
            elif move == "\r":
                self._column = 0
            elif move == "\n":
                self._down()
            elif command == "A":
                self._row -= int(number or 1)
                assert self._row >= 0, "above the first line"
            elif command == "J":
                assert not number
                self._rows[self._row] = self._rows[self._row][: self._column]
                del self._rows[self._row + 1 :]
            else:
                assert command is None or command == "m", token[0]

    def _put(self, character: str) -> None:
        if self._column == self.columns:
            self._down()
        row = self._rows[self._row].ljust(self._column)
        self._rows[self._row] = row[: self._column] + character + row[self._column + 1 :]
        self._column += 1

    def _down(self) -> None:
        self._row, self._column = self._row + 1, 0
        if self._row == len(self._rows):
            self._rows.append("")

    @property
    def lines(self) -> list[str]:
        """What stands there, from the top."""
        return [row.rstrip() for row in self._rows]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

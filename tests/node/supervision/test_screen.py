"""What stands on a terminal, and what goes into a file."""

from __future__ import annotations

import io

import msgspec
import pytest

from roomcast.supervision.screen import LiveScreen, PlainScreen, Screen
from roomcast.supervision.status import NodeView
from tests.support.terminal import Terminal

FIRST = NodeView(1, "n001", "http://127.0.0.1:8080", 9464, 4711, "ready", "good", 3, "up", 1, 0)
SECOND = msgspec.structs.replace(FIRST, number=2, url="http://127.0.0.1:8081", metrics_port=9465, clients=0)
COLUMNS = 100


class LiveTerminal:
    """A live screen, and what a person sees of it."""

    def __init__(self, colours: bool = False, lines: int = 24) -> None:
        self.stream = io.StringIO()
        self.lines = lines
        self.screen = LiveScreen(self.stream, [1, 2], lambda: (COLUMNS, self.lines), colours)

    def seen(self) -> list[str]:
        terminal = Terminal(COLUMNS)
        terminal.feed(self.stream.getvalue())
        return terminal.lines


# --- a terminal -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colours", [False, True])
def test_the_status_stays_below_the_logs(colours: bool) -> None:
    terminal = LiveTerminal(colours)
    terminal.screen.log(None, ["2 nodes"])
    terminal.screen.show([FIRST, SECOND], "Ctrl-C ends")
    terminal.screen.log(2, ["hello", "x" * 2 * COLUMNS])  # a line that wraps
    terminal.screen.show([msgspec.structs.replace(FIRST, clients=4), SECOND], "Ctrl-C ends")
    terminal.screen.log(1, ["good bye"])
    seen = terminal.seen()
    assert seen[:2] == ["up     | 2 nodes", "node 2 | hello"]
    assert "".join(seen[2:5]) == f"node 2 | {'x' * 2 * COLUMNS}"
    assert seen[5] == "node 1 | good bye"
    assert seen[6].startswith("NODE  TAG")
    assert seen[7].split() == ["1", "n001", "127.0.0.1:8080", "9464", "4711", "ready", "4", "up", "1", "0"]
    assert seen[8].split()[:4] == ["2", "n001", "127.0.0.1:8081", "9465"]
    assert seen[9:] == ["Ctrl-C ends", ""]


def test_what_has_not_changed_is_not_drawn_again() -> None:
    terminal = LiveTerminal()
    terminal.screen.show([FIRST], "x")
    before = terminal.stream.getvalue()
    terminal.screen.show([FIRST], "x")
    terminal.screen.log(1, [])
    assert terminal.stream.getvalue() == before


def test_a_status_that_becomes_smaller_leaves_nothing() -> None:
    terminal = LiveTerminal()
    terminal.screen.show([FIRST, SECOND], "before")
    terminal.screen.show([FIRST], "after")
    assert terminal.seen()[2:] == ["after", ""]


def test_in_a_small_terminal_there_is_room_for_logs() -> None:
    terminal = LiveTerminal(lines=6)
    terminal.screen.show([msgspec.structs.replace(FIRST, number=number) for number in range(1, 9)], "foot")
    assert len(terminal.seen()) == 4
    assert terminal.seen()[-2] == "foot"


def test_the_last_status_stays() -> None:
    terminal = LiveTerminal()
    terminal.screen.show([FIRST], "the end")
    terminal.screen.close()
    terminal.screen.log(None, ["afterwards"])
    assert terminal.seen()[-3:] == ["the end", "up     | afterwards", ""]


def test_colours() -> None:
    terminal = LiveTerminal(colours=True)
    terminal.screen.log(1, ["\x1b[31mred without an end"])
    terminal.screen.show([FIRST, msgspec.structs.replace(SECOND, state="unready", mood="bad")], "foot")
    written = terminal.stream.getvalue()
    assert "\x1b[36mnode 1 | \x1b[0m\x1b[31mred without an end\x1b[0m\n" in written
    assert "\x1b[32mready\x1b[0m" in written
    assert "\x1b[31munready\x1b[0m" in written
    assert "\x1b[1mNODE" in written
    plain = LiveTerminal(colours=False)
    plain.screen.log(1, ["text"])
    plain.screen.show([FIRST], "foot")
    assert "\x1b[3" not in plain.stream.getvalue()


# --- anything else ----------------------------------------------------------------------------------------------------


def test_lines_only_and_changes_only() -> None:
    stream = io.StringIO()
    screen = PlainScreen(stream, [1, 10])
    screen.log(None, ["10 nodes"])
    screen.show([FIRST], "never seen")
    screen.show([msgspec.structs.replace(FIRST, clients=70)], "never seen")
    screen.log(10, ["hello"])
    screen.show([msgspec.structs.replace(FIRST, broker="away")], "never seen")
    screen.close()
    place = "pid 4711, http://127.0.0.1:8080, metrics on port 9464"
    assert stream.getvalue().splitlines() == [
        "up      | 10 nodes",
        f"up      | node 1 is ready, {place}, 3 clients, broker up, 1 peer",
        "node 10 | hello",
        f"up      | node 1 is ready, {place}, 3 clients, broker away, 1 peer",
    ]


class GoneReader(io.StringIO):
    """Whoever read the other end has left."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0

    def write(self, text: str) -> int:
        self.attempts += 1
        raise BrokenPipeError


@pytest.mark.parametrize("kind", ["plain", "live"])
def test_nobody_need_read_it(kind: str) -> None:
    stream = GoneReader()
    screen: Screen = (
        PlainScreen(stream, [1]) if kind == "plain" else LiveScreen(stream, [1], lambda: (80, 24), colours=True)
    )
    screen.log(1, ["a"])
    screen.log(1, ["b"])
    screen.show([FIRST], "c")
    screen.close()
    assert stream.attempts == 1

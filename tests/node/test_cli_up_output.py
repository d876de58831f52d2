"""What ``roomcast up`` writes: on a terminal, and to a reader that leaves."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE
from tests.support.terminal import Terminal
from tests.support.up_command import ANYWHERE, start_up, wait_until_gone, wait_until_written

APP = """
import roomcast

app = roomcast.ASGIApp(roomcast.AsyncServer())
"""
COLUMNS, LINES = 100, 30

pytestmark = pytest.mark.timeout(180)


class Seat:
    """Somebody at a terminal in which the command runs."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        (folder / "served.py").write_text(APP)
        self._terminal = Terminal(COLUMNS)
        self._keyboard, screen = pty.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        try:
            environment = {"TERM": "xterm", "COLUMNS": "", "LINES": ""}
            self.process = start_up(folder, ["served:app", *ANYWHERE, *arguments], screen, environment)
        finally:
            os.close(screen)

    def until(self, seen: Callable[[str], bool]) -> str:
        """Look until this is seen, or nothing more comes; returns all that is to be seen."""
        while not seen(self._terminal.text):
            ready, _, _ = select.select([self._keyboard], [], [], 4 * PATIENCE)
            assert ready, f"never seen; this is:\n{self._terminal.text}"
            try:
                self._terminal.feed(os.read(self._keyboard, 65_536).decode())
            except OSError:  # the other end is closed
                break
        return self._terminal.text

    def leave(self) -> None:
        """Close the terminal's window."""
        os.close(self._keyboard)


@pytest.fixture
def seat(tmp_path: Path) -> Iterator[Seat]:
    found = Seat(tmp_path, "--nodes", "2", "--tags", "n001,n002", "--drain-seconds", "0.2")
    yield found
    found.process.kill()
    found.process.wait()


def row(text: str, number: int) -> list[str]:
    """The cells of a node's row in the table that is seen now; of all tables that there ever were, there is one."""
    assert text.count("NODE  TAG") <= 1, text
    rows = re.findall(rf"^{number}     n00{number}  .*$", text, re.MULTILINE)
    return rows[0].split() if rows else []


def test_the_status_of_a_terminal_is_drawn_in_place(seat: Seat) -> None:
    both = seat.until(lambda text: all(row(text, number)[5:9] == ["ready", "0", "up", "1"] for number in (1, 2)))
    pids = [int(row(both, number)[4]) for number in (1, 2)]
    assert both.splitlines()[-1] == "embedded broker; Ctrl-C drains and ends"

    os.kill(pids[1], signal.SIGKILL)
    down = seat.until(lambda text: row(text, 2)[5:6] == ["down"])
    assert re.search(r"^2 .* -  down  ended by SIGKILL, again in \d s$", down, re.MULTILINE)
    again = seat.until(lambda text: row(text, 2)[5:] == ["ready", "0", "up", "1", "1"])
    pids.append(int(row(again, 2)[4]))

    os.killpg(seat.process.pid, signal.SIGINT)
    seat.until(lambda text: row(text, 1)[5:6] == ["draining"])
    last = seat.until(lambda _: False)
    assert seat.process.wait(4 * PATIENCE) == 0
    assert [row(last, number)[5] for number in (1, 2)] == ["stopped", "stopped"]
    assert re.findall(r"^(\w+ ?\d?) +\| .*(?:Shutting down|stopping)", last, re.MULTILINE)[0] == "up "
    for pid in pids:
        wait_until_gone(pid)
    seat.leave()


def test_who_closes_the_window_stops_it(seat: Seat) -> None:
    text = seat.until(lambda text: row(text, 1)[5:6] == ["ready"])
    seat.leave()
    # The kernel tells the group in front of the terminal; here the terminal is nobody's, so the test does.
    os.killpg(seat.process.pid, signal.SIGHUP)
    assert seat.process.wait(4 * PATIENCE) == 0
    wait_until_gone(int(row(text, 1)[4]))


def test_the_nodes_go_on_when_nobody_reads(tmp_path: Path) -> None:
    """As in ``roomcast up … | head``."""
    lives = tmp_path / "lives"
    (tmp_path / "served.py").write_text(f"with open({str(lives)!r}, 'a') as lives:\n    lives.write('+')\n{APP}")
    process = start_up(tmp_path, ["served:app", "--nodes", "1", *ANYWHERE], subprocess.PIPE, {})
    try:
        assert process.stdout is not None
        with process.stdout as output:
            pid = next(int(found[1]) for line in output if (found := re.search(rb"is ready, pid (\d+)", line)))
        os.kill(pid, signal.SIGKILL)  # what it has to say about this, and about the next life, nobody hears
        wait_until_written(lives, 2)  # it is known to have died, and was started again
        process.terminate()
        assert process.wait(4 * PATIENCE) == 0
    finally:
        process.kill()
        process.wait()

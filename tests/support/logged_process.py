"""A process whose output is a file, which tests read while it runs."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

LOOK_AGAIN: Final = 0.02
"""Seconds between two looks at what a process has written."""


class LoggedProcess:
    """``log`` is where ``process`` writes; ``patience`` the seconds in which it has to write what is waited for."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, patience: float) -> None:
        self.process = process
        self._log = log
        self._patience = patience

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def waits_until(self, condition: Callable[[], object]) -> None:
        """Wait until this is so; it must not end before."""
        deadline = time.monotonic() + self._patience
        while not condition():
            ended = self.process.poll()
            assert ended is None, f"ended with {ended}:\n{self.output()}"
            assert time.monotonic() < deadline, f"still not so:\n{self.output()}"
            time.sleep(LOOK_AGAIN)

    def wrote(self, pattern: str) -> re.Match[str]:
        """Wait until it has written this."""
        deadline = time.monotonic() + self._patience
        while (found := re.search(pattern, self.output())) is None:
            ended = self.process.poll()
            assert ended is None, f"ended with {ended}:\n{self.output()}"
            assert time.monotonic() < deadline, f"{pattern!r} was never written:\n{self.output()}"
            time.sleep(LOOK_AGAIN)
        return found

"""A program of a test in a process of its own: what libraries and forks do to theirs, other tests must not feel."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.patience import PATIENCE
from tests.support.server import ROOT, python_path


def run_alone(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the text of a program to its end; ``options`` are the interpreter's. What it wrote is in the answer."""
    return subprocess.run(
        [sys.executable, *options, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=False,
        timeout=3 * PATIENCE,
    )


def run_quietly(program: str) -> subprocess.CompletedProcess[str]:
    """The same without warnings: eventlet is deprecated, and says so."""
    return run_alone(program, "-W", "ignore")

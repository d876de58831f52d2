"""Programs that some tests need beside Python. Where one is missing the test is skipped and says what to install; in
CI it fails.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def missing(what: str, install: str) -> NoReturn:
    """Skip the running test, or fail it in CI. ``install`` says how to get it: a command, or a sentence."""
    message = f"{what} is missing; {install}"
    if IN_CI:
        pytest.fail(message)
    pytest.skip(message)


def program(*names: str, install: str) -> str:
    """The path of the first of ``names`` that is on PATH; else see :func:`missing`."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    missing(" or ".join(names), install)


def module(name: str, install: str = "make setup") -> None:
    """Make sure that a Python package is installed; else see :func:`missing`."""
    # Who is imported is there; kombu then stands for itself by a module that has no specification any more.
    if name not in sys.modules and importlib.util.find_spec(name) is None:
        missing(f"the Python package {name}", install)

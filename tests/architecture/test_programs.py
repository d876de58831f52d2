"""Where a program is missing, a test is skipped and says what to install; in CI it fails."""

from __future__ import annotations

import sys

import pytest

from tests.support import programs


@pytest.fixture(params=[False, True], ids=["at a desk", "in CI"])
def outcome(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    """What a missing program leads to."""
    monkeypatch.setattr(programs, "IN_CI", request.param)
    return pytest.fail.Exception if request.param else pytest.skip.Exception


def test_a_missing_program(outcome: type[BaseException]) -> None:
    with pytest.raises(outcome, match="no-such-program or nor-this-one is missing; apt install it"):
        programs.program("no-such-program", "nor-this-one", install="apt install it")


def test_a_missing_package(outcome: type[BaseException]) -> None:
    with pytest.raises(outcome, match="the Python package no_such_package is missing; make setup"):
        programs.module("no_such_package")


def test_what_is_there_is_found() -> None:
    programs.module("pytest")
    assert programs.program("no-such-program", sys.executable, install="-") == sys.executable

"""Played tasks; what they raise fails the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.played_tasks import PlayedTasks


@pytest.fixture
def tasks() -> Iterator[PlayedTasks]:
    played = PlayedTasks()
    yield played
    played.close()

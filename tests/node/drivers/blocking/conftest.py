"""Played tasks, whose errors fail the test, and a server on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks


@pytest.fixture
def tasks() -> Iterator[PlayedTasks]:
    played = PlayedTasks()
    yield played
    played.close()


@pytest.fixture
def server(tasks: PlayedTasks) -> PlayedServer:
    """Not started, and as it comes; tests of other servers have a fixture of this name of their own."""
    return PlayedServer(tasks)

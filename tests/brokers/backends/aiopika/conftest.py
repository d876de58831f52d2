"""One server for all tests of this folder and others, and one for each that may not share it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq_server import RabbitServer, shared_server


@pytest.fixture
def shared() -> RabbitServer:
    server = shared_server()
    server.start()
    return server


@pytest.fixture
def own() -> Iterator[RabbitServer]:
    """With a password."""
    with RabbitServer(user="me", password="p@ss/word: x") as server:
        yield server

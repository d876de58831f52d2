"""Servers for the tests of this folder: shared by those that leave them as they found them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rabbitmq_server import RabbitServer, shared_server
from tests.support.services import RedisServer


@pytest.fixture(scope="session")
def rabbit() -> RabbitServer:
    server = shared_server()
    server.start()
    return server


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """The URL of kombu's transport in a folder of its own."""
    return f"kombu+filesystem://{tmp_path}/spool"

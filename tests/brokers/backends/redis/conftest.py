"""One server for all tests of this folder that do not break it, and one for each that does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.services import RedisServer


@pytest.fixture(scope="session")
def shared() -> Iterator[RedisServer]:
    with RedisServer(unix=True) as server:
        yield server


@pytest.fixture
def own() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def secret() -> Iterator[RedisServer]:
    """Over TLS, with a password."""
    with RedisServer(tls=True, password="p@ss/word") as server:
        yield server

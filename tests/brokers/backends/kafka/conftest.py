"""One server for all tests of this folder that do not break it, and one for each that does."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.support.kafka_server import KafkaServer


@pytest.fixture(scope="session")
def shared() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


@pytest.fixture
def own() -> Iterator[KafkaServer]:
    with KafkaServer() as server:
        yield server


@pytest.fixture(scope="session")
def secret() -> Iterator[KafkaServer]:
    """Over TLS, with a password."""
    with KafkaServer(tls=True, password="p@ss/word") as server:
        yield server


@pytest.fixture
def topic() -> str:
    """A name that no other test has."""
    return f"topic-{secrets.token_hex(6)}"

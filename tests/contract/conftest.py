"""Every test of the contract runs on every service, in every colour that the service names."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.members import Ground
from tests.contract.services import SERVICES, Row, Service


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``ground``: a service and a colour; ``threaded``: those for threads; ``sending``: a service, for senders."""
    if "sending" in metafunc.fixturenames:
        rows = [(row, "asyncio") for row in SERVICES]
        ids = [row.name for row in SERVICES]
    elif "ground" in metafunc.fixturenames:
        only = {"threads"} if "threaded" in metafunc.fixturenames else {"asyncio", "threads", "twice"}
        rows = [(row, colour) for row in SERVICES for colour in row.colours if colour in only]
        ids = [f"{row.name}-{colour}" for row, colour in rows]
    else:
        return
    smoke = metafunc.definition.get_closest_marker("smoke") is not None
    marks = [[pytest.mark.long] if row.long or (row.smoke and not smoke) else [] for row, _ in rows]
    parameters = [pytest.param(pair, marks=each, id=name) for pair, each, name in zip(rows, marks, ids, strict=True)]
    metafunc.parametrize("row", parameters)


@pytest.fixture(scope="session")
def running() -> Iterator[dict[str, Service]]:
    """Services that were needed so far. They go on until the session ends."""
    services: dict[str, Service] = {}
    yield services
    for service in services.values():
        service.close()


@pytest.fixture
def ground(row: tuple[Row, str], running: dict[str, Service]) -> Iterator[Ground]:
    service = running.get(row[0].name) or running.setdefault(row[0].name, row[0].service())
    service.start()
    ground = Ground(service, row[1])
    yield ground
    ground.close()


@pytest.fixture
def sending(ground: Ground) -> Ground:
    """As ``ground``, for tests of senders; what they send is heard by a broker for asyncio."""
    return ground


@pytest.fixture
def threaded(ground: Ground) -> Ground:
    """As ``ground``, for tests of what only a broker for threads can be asked."""
    return ground


@pytest.fixture
def breakable(ground: Ground) -> Ground:
    """As ``ground``, for tests that break the connection."""
    if not ground.service.can_break:
        pytest.skip("this service does not break")
    return ground

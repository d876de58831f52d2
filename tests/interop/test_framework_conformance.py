"""The 25 Engine.IO and the 32 Socket.IO cases on servers inside aiohttp, Tornado and Sanic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop import engineio_cases, socketio_cases
from tests.interop.conftest import assert_untroubled
from tests.interop.engineio_cases import Case, name
from tests.support.raw_engine import Endpoint
from tests.support.server import running_server

FRAMEWORKS = ("aiohttp", "tornado", "sanic")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=FRAMEWORKS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where both servers answer inside that framework; nothing was raised there where nobody caught it."""
    with running_server("tests.interop.conformance_app:servers", request.param) as server:
        yield server.url
        assert_untroubled(server)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name(number, case)) for number, case in enumerate(engineio_cases.CASES, 1)]
)
async def test_engineio(url: str, case: Case) -> None:
    async with Endpoint(url, "/engine.io/") as endpoint:
        await case(endpoint)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=name(number, case)) for number, case in enumerate(socketio_cases.CASES, 1)]
)
async def test_socketio(url: str, case: Case) -> None:
    async with Endpoint(url, "/socket.io/") as endpoint:
        await case(endpoint)

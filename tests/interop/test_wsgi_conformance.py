"""The 25 Engine.IO and the 32 Socket.IO cases on the blocking servers, under WSGI servers whose sockets they take."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop import engineio_cases, socketio_cases
from tests.interop.engineio_cases import Case, name
from tests.support.raw_engine import Endpoint
from tests.support.server import running_server


@pytest.fixture(scope="module", params=["gunicorn threads", pytest.param("gunicorn gevent", marks=pytest.mark.long)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the application answers under that server; nothing was raised there where nobody caught it."""
    with running_server("tests.interop.conformance_wsgi:app", request.param) as server:
        yield server.url
        assert "Traceback" not in server.output(), server.output()


ENGINE, SOCKET = (
    pytest.mark.parametrize("case", [pytest.param(case, id=name(number, case)) for number, case in enumerate(cases, 1)])
    for cases in (engineio_cases.CASES, socketio_cases.CASES)
)


@ENGINE
async def test_engineio(url: str, case: Case) -> None:
    async with Endpoint(url, "/engine.io/") as endpoint:
        await case(endpoint)


@SOCKET
async def test_socketio(url: str, case: Case) -> None:
    async with Endpoint(url, "/socket.io/") as endpoint:
        await case(endpoint)


def test_these_are_all() -> None:
    assert (len(engineio_cases.CASES), len(socketio_cases.CASES)) == (25, 32)

"""The 32 Socket.IO cases on the blocking server, under the WSGI servers whose sockets it takes over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.engineio_cases import Case, name
from tests.interop.socketio_cases import CASES
from tests.support.raw_engine import Endpoint
from tests.support.server import running_server


@pytest.fixture(scope="module", params=["gunicorn threads", pytest.param("gunicorn gevent", marks=pytest.mark.long)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the application answers under that server; nothing was raised there where nobody caught it."""
    with running_server("tests.interop.conformance_wsgi:app", request.param) as server:
        yield server.url
        assert "Traceback" not in server.output(), server.output()


@pytest.mark.parametrize("case", [pytest.param(case, id=name(number, case)) for number, case in enumerate(CASES, 1)])
async def test_case(url: str, case: Case) -> None:
    async with Endpoint(url, "/socket.io/") as endpoint:
        await case(endpoint)

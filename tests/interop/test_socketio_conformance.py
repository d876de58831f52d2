"""The 32 Socket.IO cases, over the fast path and over plain ASGI."""

from __future__ import annotations

import pytest

from tests.interop.engineio_cases import Case, name
from tests.interop.socketio_cases import CASES
from tests.support.raw_engine import Endpoint


@pytest.mark.parametrize("case", [pytest.param(case, id=name(number, case)) for number, case in enumerate(CASES, 1)])
async def test_case(conformance_url: str, case: Case) -> None:
    async with Endpoint(conformance_url, "/socket.io/") as endpoint:
        await case(endpoint)


def test_the_suite_is_whole() -> None:
    assert len(CASES) == len(set(CASES)) == 32

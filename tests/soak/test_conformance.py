"""The conformance cases twenty times in a row, fast path and plain ASGI: what fails now and then shows here."""

from __future__ import annotations

import asyncio
import os
import time  # time: says how long a round took
from collections.abc import Iterator

import pytest

from tests.interop import engineio_cases, socketio_cases
from tests.interop.engineio_cases import Case
from tests.support.raw_engine import Endpoint
from tests.support.server import running_server

ROUNDS = int(os.environ.get("ROOMCAST_SOAK_ROUNDS", "20"))
SUITES = {"/engine.io/": engineio_cases.CASES, "/socket.io/": socketio_cases.CASES}


def numbered() -> Iterator[tuple[str, str, Case]]:
    """Path, name and case of all 57."""
    for path, cases in SUITES.items():
        for number, case in enumerate(cases, 1):
            yield path, engineio_cases.name(number, case), case


async def one_round(url: str) -> list[str]:
    """What failed, each with its error."""
    failures = []
    for path, name, case in numbered():
        async with Endpoint(url, path) as endpoint:
            try:
                await case(endpoint)
            except Exception as error:  # whatever it is, the other cases go on
                failures.append(f"{path}{name}: {error!r}")
    return failures


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["fast", "uvicorn"])
def test_twenty_times(kind: str, capsys: pytest.CaptureFixture[str], terminal: pytest.TerminalReporter) -> None:
    failures = []
    with running_server("tests.interop.conformance_app:app", kind) as server:
        for number in range(1, ROUNDS + 1):
            started = time.monotonic()
            failed = asyncio.run(one_round(server.url))
            with capsys.disabled():
                terminal.write_line(f"{kind} round {number}: {len(failed)} failed, {time.monotonic() - started:.1f} s")
            failures += [f"round {number}: {failure}" for failure in failed]
        assert not failures, "\n".join(failures)
        assert "Traceback" not in server.output()


@pytest.fixture
def terminal(request: pytest.FixtureRequest) -> pytest.TerminalReporter:
    """Where the rounds are reported while they run."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    assert isinstance(reporter, pytest.TerminalReporter)
    return reporter

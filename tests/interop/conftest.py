"""The servers that the tests of this folder share, and their output when a test fails."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from tests.support.server import ServerProcess, running_server

CONFORMANCE_APP = "tests.interop.conformance_app:app"
INTEROP_APP = "tests.interop.interop_app:app"
ANOTHER_SERVER = os.environ.get("ROOMCAST_CONFORMANCE_URL")
"""A server that runs already, roomcast or not ("http://127.0.0.1:3000"): the cases are then run against that one."""

_OUTPUT_SHOWN = 5_000
"""Characters of a server's output that a failed test shows."""


@pytest.fixture(scope="session", params=["another"] if ANOTHER_SERVER else ["fast", "uvicorn"])
def conformance_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the conformance application answers, over the fast path and over plain ASGI."""
    if ANOTHER_SERVER:
        yield ANOTHER_SERVER
        return
    with running_server(CONFORMANCE_APP, request.param) as server:
        request.config.stash[SERVERS].append(server)
        yield server.url
        assert_untroubled(server)


@pytest.fixture(scope="session")
def interop(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """The application of ``interop_app.py`` over the fast path."""
    with running_server(INTEROP_APP, "fast") as server:
        request.config.stash[SERVERS].append(server)
        yield server
        assert_untroubled(server)


def assert_untroubled(server: ServerProcess) -> None:
    """Whatever clients did, nothing was raised where nobody caught it."""
    assert "Traceback" not in server.output(), server.output()


SERVERS = pytest.StashKey[list[ServerProcess]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SERVERS] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for server in item.config.stash[SERVERS]:
            report.sections.append((repr(server), server.output()[-_OUTPUT_SHOWN:]))
    return report

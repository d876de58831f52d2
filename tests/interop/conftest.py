"""The servers that the tests of this folder share, and their output when a test fails."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest

from tests.support.deployments import FASTEST, WAYS, WEBSOCKET, Deployed, deployed
from tests.support.server import ServerProcess, running_server

CONFORMANCE_APP = "tests.interop.conformance_app:app"
INTEROP_APP = {
    "main.py": "from tests.interop.interop_app import app, sio\n",
    "app.py": "from tests.interop.interop_wsgi import app, sio\n",
    **{
        f"serve_{framework}.py": (
            "import runpy, sys\n"
            "sys.argv[1:] = ['tests.interop.apps.interop_servers:servers', '8000']\n"
            f"runpy.run_module('tests.interop.apps.{framework}_server', run_name='__main__')\n"
        )
        for framework in ("aiohttp", "sanic", "tornado")
    },
}
"""In the place of the applications of docs/deployment.md."""

THINNED = {("client", "4.0"), ("parser", "msgpack"), ("kind", "threads")}
"""Parameters of which one server is enough: what they are about does not depend on what carries it."""
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


@pytest.fixture(
    scope="session", params=[pytest.param(name, marks=[] if name == FASTEST else [pytest.mark.long]) for name in WAYS]
)
def interop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The application of ``interop_app.py``, or its twin, over each way to run a server."""
    with deployed(request.param, tmp_path_factory.mktemp("deployment"), request.config, INTEROP_APP) as server:
        request.config.stash[SERVERS].append(server)
        yield server
        assert_untroubled(server)
    request.config.stash[SERVERS].remove(server)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is the same on every server, and what one cannot do (``WAYS`` and docs/deployment.md say why)."""
    superfluous = {item for item in items if isinstance(item, pytest.Function) and is_superfluous(item)}
    if superfluous:
        config.hook.pytest_deselected(items=list(superfluous))
        items[:] = [item for item in items if item not in superfluous]


def is_superfluous(item: pytest.Function) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    name = str(parameters.get("interop", FASTEST))
    if name == FASTEST:
        return False
    impossible = WEBSOCKET in WAYS[name].cannot and parameters.get("transport") in ("websocket", "upgrade")
    return impossible or any(parameters.get(parameter) == value for parameter, value in THINNED)


def assert_untroubled(server: ServerProcess | Deployed) -> None:
    """Whatever clients did, nothing was raised where nobody caught it."""
    assert "Traceback" not in server.output(), server.output()


SERVERS = pytest.StashKey[list[ServerProcess | Deployed]]()


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

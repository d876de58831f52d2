"""Thousands of WebSockets on a few threads: all echo, pages are served beside them, and nothing goes wrong."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from tests.support.echo_crowd import REQUESTS_A_SECOND, Tally
from tests.support.patience import PATIENCE
from tests.support.server import ROOT, running_server

APPLICATION = "tests.deploy.crowded_app:app"
FEW = pytest.param(100, 2, id="100")
MANY = pytest.param(2_000, 20, id="2000", marks=[pytest.mark.long, pytest.mark.timeout(300)])


@pytest.mark.parametrize(("clients", "seconds"), [FEW, MANY])
@pytest.mark.parametrize(
    "served_by",
    ["gunicorn threads", *(pytest.param(name, marks=pytest.mark.long) for name in ("gunicorn gevent", "uwsgi gevent"))],
)
def test_all_echo_while_pages_are_served(served_by: str, clients: int, seconds: int) -> None:
    """python-socketio holds one of the 20 threads for each client."""
    with running_server(APPLICATION, served_by) as server:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.support.echo_crowd", server.url, str(clients), str(seconds)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=20 * PATIENCE,
        )
        assert ended.returncode == 0, ended.stderr
        tally = msgspec.json.decode(ended.stdout, type=Tally)
        assert (tally.failed, tally.errors) == (0, [])
        assert (tally.clients, tally.requests) == (clients, seconds * REQUESTS_A_SECOND)
        assert tally.least > 0
        assert "Traceback" not in server.output()

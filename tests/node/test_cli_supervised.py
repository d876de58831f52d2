"""The options of ``roomcast run`` for programs that start nodes."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

from tests.support.run_command import running


def test_it_stops_when_standard_input_ends(tmp_path: Path) -> None:
    with running(tmp_path, "--stop-at-eof") as command:  # its standard input is empty
        assert command.ended() in (0, -signal.SIGTERM)


def test_without_the_option_standard_input_does_not_matter(tmp_path: Path) -> None:
    with running(tmp_path) as command:
        command.wrote("Uvicorn running")
        assert command.process.poll() is None


def test_a_fixed_port_for_metrics_is_that_one_or_none(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with running(tmp_path, "--metrics-port", port, "--metrics-port-fixed") as command:
            assert command.ended() == 2
            assert f"no metrics and health: no port from {port} to {port} is free" in command.output()
            assert "Traceback" not in command.output()

"""The port for metrics and health."""

from __future__ import annotations

import pytest

from roomcast.errors import SettingsError
from roomcast.metrics_port import DEFAULT_PORT, MORE_PORTS, listen

HOST = "127.0.0.1"


def test_any_port() -> None:
    with listen(HOST, 0) as listening:
        assert listening.getsockname()[1]


def test_the_next_free_one() -> None:
    with listen(HOST, 0) as first:
        port = first.getsockname()[1]
        with listen(HOST, port) as second:
            assert port < second.getsockname()[1] <= port + MORE_PORTS
        with pytest.raises(SettingsError, match=f"no port from {port} to {port} is free"):
            listen(HOST, port, more_ports=0)


def test_a_host_that_is_not_ours() -> None:
    with pytest.raises(OSError, match=r".+"):
        listen("192.0.2.1", 0)


def test_an_ipv6_host() -> None:
    try:
        with listen("::1", 0) as listening:
            assert listening.getsockname()[0] == "::1"
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


def test_the_documented_numbers() -> None:
    assert (DEFAULT_PORT, MORE_PORTS) == (9464, 64)

"""Ports of this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from roomcast.errors import SettingsError
from roomcast.supervision.ports import MORE_PORTS, find_ports

HOST = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.create_server((HOST, 0)) as listening:
        yield listening.getsockname()[1]


def test_any_ports() -> None:
    ports, metrics = find_ports(HOST, 0, HOST, 0, 5)
    assert len({*ports, *metrics}) == 10
    for port in (*ports, *metrics):  # they are free
        socket.create_server((HOST, port)).close()


def test_one_after_another() -> None:
    for _ in range(20):  # until nobody else has one of them
        first = find_ports(HOST, 0, HOST, 0, 1)[0][0]
        try:
            assert find_ports(HOST, first, HOST, 0, 3)[0] == [first, first + 1, first + 2]
        except SettingsError:
            continue
        return
    raise AssertionError("no three free ports in a row")


def test_a_taken_port_is_named(taken: int) -> None:
    with pytest.raises(SettingsError, match=f"port {taken} on {HOST} is taken by another program"):
        find_ports(HOST, taken, HOST, 0, 1)


def test_taken_ports_of_metrics_are_passed_over(taken: int) -> None:
    _, metrics = find_ports(HOST, 0, HOST, taken, 2)
    assert taken < metrics[0] < metrics[1] <= taken + 2 + MORE_PORTS


def test_the_application_s_ports_are_no_ports_for_metrics() -> None:
    for _ in range(20):
        first = find_ports(HOST, 0, HOST, 0, 1)[0][0]
        try:
            ports, metrics = find_ports(HOST, first, HOST, first, 2)
        except SettingsError:
            continue
        assert ports == [first, first + 1]
        assert metrics[0] >= first + 2
        return
    raise AssertionError("no free ports in a row")


@pytest.mark.parametrize(
    ("host", "port", "complaint"),
    [
        (HOST, 65_536, "65536 is no port"),
        (HOST, -1, "-1 is no port"),
        ("192.0.2.1", 0, r"no node can listen on port 0 of 192.0.2.1: Cannot assign requested address$"),
    ],
)
def test_ports_that_cannot_be(host: str, port: int, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        find_ports(host, port, HOST, 0, 1)


def test_the_last_ports_are_not_passed() -> None:
    with pytest.raises(SettingsError, match="65536 is no port"):
        find_ports(HOST, 0, HOST, 65_535, 3)

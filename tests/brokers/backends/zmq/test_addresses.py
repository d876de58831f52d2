"""What zmq URLs mean, and what they must not hold."""

from __future__ import annotations

import pytest

from roomcast_brokers.backends.zmq.addresses import MAX_SOCKET_PATH_BYTES, SOCKET_NAME, Address, parse
from roomcast_brokers.errors import BrokerURLError

LONGEST_FOLDER = "/" + "f" * (MAX_SOCKET_PATH_BYTES - len(SOCKET_NAME) - 2)


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("zmq+ipc:///run/chat", "/run/chat"),
        ("zmq+ipc:///run/chat/", "/run/chat"),
        ("ZMQ+IPC:///run/chat", "/run/chat"),
        ("zmq+ipc:///run/my%20chat", "/run/my chat"),
        (f"zmq+ipc://{LONGEST_FOLDER}", LONGEST_FOLDER),
    ],
)
def test_ipc_is_a_folder(url: str, folder: str) -> None:
    address = parse(url)
    assert address == Address(folder=folder)
    assert address.endpoint == f"ipc://{folder}/forwarder.sock"
    assert address.socket == f"{folder}/forwarder.sock"
    assert address.lock == f"{folder}/forwarder.lock"
    assert address.for_clients() is address


@pytest.mark.parametrize(
    ("url", "host", "port", "endpoint"),
    [
        ("zmq+tcp://10.0.0.7:5555", "10.0.0.7", 5555, "tcp://10.0.0.7:5555"),
        ("zmq+tcp://localhost:5555", "127.0.0.1", 5555, "tcp://127.0.0.1:5555"),
        ("zmq+tcp://localhost:5555+5556", "127.0.0.1", 5555, "tcp://127.0.0.1:5555"),
        ("zmq+tcp://broker.internal:65535/", "broker.internal", 65_535, "tcp://broker.internal:65535"),
        ("zmq+tcp://[::1]:5555", "[::1]", 5555, "tcp://[::1]:5555"),
        ("zmq+tcp://127.0.0.1:0", "127.0.0.1", 0, "tcp://127.0.0.1:*"),
        ("zmq+tcp://*:5555", "*", 5555, "tcp://*:5555"),
    ],
)
def test_tcp_is_a_host_and_a_port(url: str, host: str, port: int, endpoint: str) -> None:
    address = parse(url)
    assert address == Address(host=host, port=port)
    assert address.endpoint == endpoint
    assert address.is_ipv6 == ("[" in host)


@pytest.mark.parametrize(
    "url",
    [
        "zmq+ipc://",
        "zmq+ipc:///",
        "zmq+ipc://relative/path",
        "zmq+ipc:///run/a%00b",
        f"zmq+ipc://{LONGEST_FOLDER}f",
        "zmq+ipc:///run/chat?secret=1",
        "zmq+tcp://",
        "zmq+tcp://localhost",
        "zmq+tcp://:5555",
        "zmq+tcp://localhost:",
        "zmq+tcp://localhost:port",
        "zmq+tcp://localhost:65536",
        "zmq+tcp://localhost:5555+70000",
        "zmq+tcp://localhost:5555/path",
        "zmq+tcp://secret@localhost:5555",
        "zmq+tcp://localhost:5555#secret",
        "zmq://localhost:5555",
        "redis://localhost:5555",
    ],
)
def test_what_names_no_place_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["zmq+tcp://127.0.0.1:0", "zmq+tcp://*:5555"])
def test_clients_need_a_place_to_connect_to(url: str) -> None:
    with pytest.raises(BrokerURLError):
        parse(url).for_clients()

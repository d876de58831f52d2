"""From the options of a server to its cluster, and what can be known to be wrong before anything connects."""

from __future__ import annotations

from typing import Any

import pytest

import roomcast
from roomcast.drivers.asyncio.server import make_broker as make_async_broker
from roomcast.drivers.blocking.server import Server, make_broker
from roomcast.errors import SettingsError
from roomcast.joining import BrokerOptions, join, take_broker
from roomcast_brokers.errors import BrokerURLError

URL = "memory://joining"
COLOURS = pytest.mark.parametrize("make", [make_async_broker, make_broker], ids=["asyncio", "threads"])


class Manager:
    """What of a manager is looked at."""

    def __init__(self, broker_url: str | None) -> None:
        self.broker_url = broker_url
        self.channel = "of the manager"
        self.broker_options = {"service": "one", "redis_options": {}}
        self.broker_keys: list[str] | None = None


def test_without_a_broker_a_server_stands_alone() -> None:
    options: dict[str, Any] = {"cluster": "shop", "keys": ["key"], "ping_interval": 3}
    assert take_broker(None, options) is None
    assert take_broker(Manager(None), {}) is None
    assert options == {"ping_interval": 3}
    for server in (roomcast.AsyncServer, Server):
        sio = server()
        assert sio.bus is None
        assert [node.is_self for node in sio.cluster.nodes()] == [True]


def test_the_options_are_taken_out() -> None:
    options = {"broker": URL, "cluster": "shop", "keys": ["key"], "broker_options": {"a": 1}, "ping_interval": 3}
    assert take_broker(None, options) == BrokerOptions(url=URL, cluster="shop", keys=["key"], options={"a": 1})
    assert options == {"ping_interval": 3}
    assert take_broker(None, {"broker": URL}) == BrokerOptions(url=URL, cluster="socketio")


def test_what_a_manager_brings_comes_first() -> None:
    found = take_broker(
        Manager(URL), {"broker": "redis://elsewhere", "cluster": "x", "broker_options": {"service": "two"}}
    )
    assert found == BrokerOptions(
        url=URL, cluster="of the manager", keys=None, options={"service": "two", "redis_options": {}}
    )
    manager = Manager(URL)
    manager.broker_keys = ["its own"]
    for given, keys in ((None, ["its own"]), (["the server's"], ["the server's"])):
        found = take_broker(manager, {"keys": given})
        assert found is not None
        assert found.keys == keys


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"cluster": "no spaces here"}, SettingsError),
        ({"cluster": "x" * 65}, SettingsError),
        ({"keys": [""]}, SettingsError),
        ({"keys": "not a list"}, SettingsError),
        ({"keys": ["s3cr3t", "s3cr3t"]}, SettingsError),
        ({"url": "nonsense://here"}, BrokerURLError),
        ({"url": "memory://x?y=z"}, BrokerURLError),
        ({"options": {"no such option": 1}}, TypeError),
    ],
)
@COLOURS
def test_what_can_never_work_is_known_at_once(wrong: dict[str, Any], error: type[Exception], make: Any) -> None:
    wanted = BrokerOptions(**{"url": URL, **wrong})
    with pytest.raises(error) as caught:
        join(wanted, True, make)
    assert "s3cr3t" not in str(caught.value)


@COLOURS
def test_the_first_broker_is_the_one_that_was_tried(make: Any) -> None:
    made = []

    def note(wanted: BrokerOptions) -> Any:
        made.append(make(wanted))
        return made[-1]

    _, take = join(BrokerOptions(url=URL), True, note)
    (tried,) = made
    assert take() is tried
    second = take()
    assert second is made[-1] is not tried


@pytest.mark.parametrize("random", [True, False])
@pytest.mark.parametrize("server", [roomcast.AsyncServer, Server])
def test_a_cluster_knows_whether_its_tag_may_be_drawn_anew(random: bool, server: Any) -> None:
    options: dict[str, Any] = {"broker": URL} if random else {"broker": URL, "tag": "aaaa"}
    sio = server(**options)
    assert sio.bus.cluster.options.random_tag is random
    assert sio.bus.cluster.options.name == "socketio"

"""What the environment of the process sets, and who reads it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from roomcast import AsyncServer, AsyncZmqManager, environment
from roomcast.engine import EngineServer
from roomcast.environment import TAG_VARIABLE, with_broker_of_environment, with_environment
from roomcast.errors import SettingsError
from roomcast_emitter.environment import BROKER_VARIABLE, CLUSTER_VARIABLE, KEYS_VARIABLE


def tag_of_server(**options: Any) -> str:
    return AsyncServer(**options).node.sids.tag


def tag_of_engine(**options: Any) -> str:
    return EngineServer(**options).engine.sids.tag


EVERY_SERVER = pytest.mark.parametrize("tag_of", [tag_of_server, tag_of_engine])
TagOf = Callable[..., str]


def test_the_name_that_operators_know() -> None:
    assert TAG_VARIABLE == "ROOMCAST_TAG"


def test_where_it_sets_nothing_the_options_stay_the_same_object(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"ping_interval": 7}
    monkeypatch.delenv(TAG_VARIABLE, raising=False)
    assert with_environment(options) is options


def test_what_it_sets_joins_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"ping_interval": 7}
    monkeypatch.setenv(TAG_VARIABLE, "n001")
    assert with_environment(options) == {"ping_interval": 7, "tag": "n001"}
    assert options == {"ping_interval": 7}, "the caller's options are not written to"


@EVERY_SERVER
def test_a_server_takes_its_tag_from_it(tag_of: TagOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TAG_VARIABLE, "n001")
    assert tag_of() == "n001"
    assert tag_of(tag=None) == "n001"


def test_it_names_one_node_of_a_process(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Two members of one cluster under one tag would be twins, and one of them would serve nobody."""
    monkeypatch.setattr(environment, "_named", None)
    monkeypatch.setenv(TAG_VARIABLE, "n001")
    first = AsyncServer(broker="memory://one")
    alone, second = AsyncServer(), AsyncServer(client_manager=AsyncZmqManager())
    assert [server.node.sids.tag == "n001" for server in (first, alone, second)] == [True, True, False]
    assert second.bus is not None
    assert second.bus.cluster.options.random_tag
    assert caplog.messages == ["ROOMCAST_TAG names one node, and this process has several: this one draws a random tag"]
    assert AsyncServer(broker="memory://one", tag="mine").node.sids.tag == "mine"
    del first
    gc.collect()
    assert AsyncServer(broker="memory://one").node.sids.tag == "n001"


@EVERY_SERVER
@pytest.mark.parametrize("variable", ["n001", "not a tag"])
def test_the_option_wins(tag_of: TagOf, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TAG_VARIABLE, variable)
    assert tag_of(tag="mine") == "mine"


@EVERY_SERVER
def test_an_empty_variable_is_none(tag_of: TagOf, monkeypatch: pytest.MonkeyPatch) -> None:
    """As compose files make it: ``ROOMCAST_TAG: ${TAG}`` without a TAG."""
    monkeypatch.setenv(TAG_VARIABLE, "")
    assert len({tag_of() for _ in range(10)}) > 1


@EVERY_SERVER
@pytest.mark.parametrize("value", ["abc", "abcde", "ab d", "äbcd", "abcd\n", " n001"])
def test_a_tag_that_cannot_be_names_the_variable(tag_of: TagOf, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TAG_VARIABLE, value)
    with pytest.raises(SettingsError, match=r"^ROOMCAST_TAG: a node's tag is 4 characters out of A-Z a-z 0-9 _ -, not"):
        tag_of()


@EVERY_SERVER
@pytest.mark.parametrize("value", ["abc", "", "abcde", 1234, b"n001"])
def test_a_tag_that_cannot_be_names_the_option(tag_of: TagOf, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TAG_VARIABLE, "n001")
    with pytest.raises(SettingsError, match=r"^tag: a node's tag is 4 characters out of A-Z a-z 0-9 _ -, not"):
        tag_of(tag=value)


BROKER_VARIABLES = (BROKER_VARIABLE, CLUSTER_VARIABLE, KEYS_VARIABLE)


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for variable in BROKER_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


def test_the_names_of_a_cluster_that_operators_know() -> None:
    assert BROKER_VARIABLES == ("ROOMCAST_BROKER", "ROOMCAST_CLUSTER", "ROOMCAST_KEYS")


def test_without_a_broker_a_server_stands_alone(nothing_set: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {"ping_interval": 7}
    assert with_broker_of_environment(options) is options
    assert AsyncServer().bus is None


def test_an_operator_joins_a_server_to_a_cluster(nothing_set: pytest.MonkeyPatch) -> None:
    nothing_set.setenv(BROKER_VARIABLE, "memory://operator")
    nothing_set.setenv(CLUSTER_VARIABLE, "shop")
    nothing_set.setenv(KEYS_VARIABLE, "new-key, old-key,")
    assert with_broker_of_environment({}) == {
        "broker": "memory://operator",
        "cluster": "shop",
        "keys": ["new-key", "old-key"],
    }
    bus = AsyncServer().bus
    assert bus is not None
    assert bus.cluster.codec.cluster == "shop"


def test_the_options_of_a_cluster_win(nothing_set: pytest.MonkeyPatch) -> None:
    nothing_set.setenv(CLUSTER_VARIABLE, "shop")
    assert with_broker_of_environment({"broker": "memory://", "cluster": "mine"})["cluster"] == "mine"
    nothing_set.setenv(CLUSTER_VARIABLE, "not a name")
    with pytest.raises(SettingsError, match="name of a cluster"):
        AsyncServer(broker="memory://")

from __future__ import annotations

import pytest

from roomcast_brokers.backends.redis import layout
from roomcast_brokers.backends.redis.layout import SLOTS, Layout, Server, clustered
from roomcast_brokers.errors import BrokerUnreachableError

ONE, TWO = Server("one", 1), Server("two", 2)


def test_one_server_owns_all() -> None:
    only = Layout([ONE])
    assert not only.sharded
    assert only.owner("a") == only.owner("b") == ONE


def test_in_a_cluster_the_slot_decides() -> None:
    # "foo" is in slot 12182, "hello" in 866: the examples of Redis's own documentation
    halves = clustered((slot, ONE if slot < SLOTS // 2 else TWO) for slot in range(SLOTS))
    assert halves.sharded
    assert halves.servers == (ONE, TWO)
    for _ in range(2):  # found, and remembered
        assert halves.owner("foo") == TWO
        assert halves.owner("hello") == ONE
    assert halves.owner("{foo}:x") == TWO


def test_every_slot_needs_an_owner() -> None:
    with pytest.raises(BrokerUnreachableError, match="1 of the 16,384 slots"):
        clustered((slot, ONE) for slot in range(1, SLOTS))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAX_REMEMBERED", 10)
    found = clustered((slot, ONE) for slot in range(SLOTS))
    for number in range(25):
        assert found.owner(f"channel {number}") == ONE
        assert len(found._owners) <= 10

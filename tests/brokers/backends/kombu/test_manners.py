from __future__ import annotations

from typing import Any

import pytest
from kombu.transport import get_transport_cls

from roomcast_brokers.backends.kombu.manners import MANNERS, POLL_UNKNOWN, UNKNOWN, Manner
from roomcast_brokers.contracts import Traits


@pytest.mark.parametrize("name", MANNERS)
def test_each_has_fanout(name: str) -> None:
    transport: Any = get_transport_cls(name)
    assert "fanout" in transport.implements.exchange_type


@pytest.mark.parametrize("manner", [*MANNERS.values(), UNKNOWN])
def test_no_subscription_is_cheap_and_nothing_is_kept(manner: Manner) -> None:
    assert not manner.traits.cheap_subscriptions
    assert not manner.traits.durable


def test_of_what_is_not_known_little_is_promised() -> None:
    assert UNKNOWN.traits == Traits(
        cheap_subscriptions=False, confirms_subscriptions=False, shortest_beat=2 * POLL_UNKNOWN
    )
    assert all(manner.traits.confirms_subscriptions for manner in MANNERS.values())
    assert all(manner.traits.ordered_across_channels for manner in MANNERS.values())

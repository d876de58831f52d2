from __future__ import annotations

import pytest

from roomcast_brokers.backends.memory import MemoryBroker
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, AsyncBroker, AsyncPublisher, Delivery, State, Traits


def methods(contract: type) -> set[str]:
    return {
        name
        for parent in contract.__mro__
        for name in vars(parent)
        if not name.startswith("_") and parent.__name__.startswith("Async")
    }


def test_the_contracts_stay_small() -> None:
    assert methods(AsyncPublisher) == {"traits", "open", "publish", "close"}
    assert methods(AsyncBroker) - methods(AsyncPublisher) == {"subscribe", "unsubscribe", "deliveries", "states"}


@pytest.mark.parametrize("name", sorted(methods(AsyncBroker)))
def test_every_method_states_its_guarantee(name: str) -> None:
    assert getattr(AsyncBroker, name).__doc__


def test_the_memory_back_end_is_a_broker() -> None:
    broker: AsyncBroker = MemoryBroker()
    assert broker.traits == Traits(ordered_across_channels=True)


def test_values() -> None:
    assert Delivery("c", b"x") == Delivery("c", b"x")
    assert [state.value for state in State] == ["connecting", "up", "closed"]
    assert MAX_MESSAGE_BYTES < 1_048_576

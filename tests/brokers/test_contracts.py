from __future__ import annotations

import inspect

import pytest

from roomcast_brokers import contracts
from roomcast_brokers.backends.memory import MemoryBroker
from roomcast_brokers.bridge import LoopBroker, ThreadedBroker
from roomcast_brokers.bridged_sender import BridgedSender
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES, AsyncBroker, Broker, Listener, Sender, State, Traits
from roomcast_brokers.inbox import Inbox
from tests.support.listeners import RecordingListener, ThreadListener
from tests.support.scripted_brokers import ScriptedAsyncBroker, ScriptedBroker

METHODS = {
    "Listener": {"delivered", "confirmed", "accepted", "changed"},
    "AsyncPublisher": {"traits", "open", "publish", "close"},
    "AsyncBroker": {"subscribe", "unsubscribe", "reset"},
    "Publisher": {"traits", "open", "publish", "close"},
    "Broker": {"subscribe", "unsubscribe", "reset"},
    "Sender": {"traits", "send", "close", "forget"},
}


@pytest.mark.parametrize("name", METHODS)
def test_the_contracts_stay_small_and_every_method_states_its_guarantee(name: str) -> None:
    own = {key: value for key, value in vars(getattr(contracts, name)).items() if not key.startswith("_")}
    assert own.keys() == METHODS[name]
    assert all(inspect.getdoc(value) for value in own.values())


def test_both_colours_have_the_same_methods() -> None:
    assert METHODS["AsyncPublisher"] == METHODS["Publisher"]
    assert METHODS["AsyncBroker"] == METHODS["Broker"]


def test_who_keeps_which_contract() -> None:
    """mypy compares them."""
    asynchronous: list[AsyncBroker] = [MemoryBroker(), LoopBroker(ScriptedBroker), ScriptedAsyncBroker()]
    threaded: list[Broker] = [ThreadedBroker(MemoryBroker), ScriptedBroker()]
    sender: Sender = BridgedSender(lambda: ThreadedBroker(MemoryBroker))
    listeners: list[Listener] = [Inbox(), RecordingListener(), ThreadListener()]
    assert asynchronous[0].traits == threaded[0].traits == sender.traits == Traits(ordered_across_channels=True)
    assert listeners
    sender.close()


def test_values() -> None:
    assert [state.value for state in State] == ["connecting", "up", "closed"]
    assert MAX_MESSAGE_BYTES == 1_040_000
    assert Traits() == Traits(
        durable=False,
        ordered_across_channels=False,
        cheap_subscriptions=True,
        confirms_subscriptions=True,
        shortest_beat=0.0,
    )

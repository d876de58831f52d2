"""Transports of which nothing is known but that they have fanout: kombu's memory, and its folder."""

from __future__ import annotations

from typing import Any

import pytest
from kombu.transport import memory

from roomcast_brokers.backends.kombu.broadcast import BroadcastIntake, BroadcastOutlet
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.kombu.setups import Taken, all_accepted, setup


@pytest.fixture(params=["memory", "filesystem"])
def url(request: pytest.FixtureRequest, folder: str) -> str:
    return folder if request.param == "filesystem" else "kombu+memory://"


def opened(url: str) -> tuple[Taken, BroadcastOutlet]:
    intake, outlet = BroadcastIntake(setup(url)), BroadcastOutlet(setup(url))
    intake.connect()
    outlet.connect()
    return Taken(intake), outlet


def test_everybody_hears_everything_and_drops_what_it_did_not_subscribe(url: str) -> None:
    one, outlet = opened(url)
    other, _ = opened(url)
    assert one.intake.descriptor is None
    one.intake.change([("a", 1), ("b", 2)], [])
    other.intake.change([("b", 3)], [])
    assert one.until_confirmed(2) == [("a", 1), ("b", 2)]
    outlet.publish([("a", b"1"), ("b", b""), ("c", b"3"), ("a", bytes(range(256)))])
    all_accepted(outlet, 4)
    assert one.until_messages(3) == [("a", b"1"), ("b", b""), ("a", bytes(range(256)))]
    assert other.until_messages(1) == [("b", b"")]
    one.intake.change([("b", 4)], ["a", "never subscribed"])
    outlet.publish([("a", b"unheard"), ("b", b"heard")])
    assert one.until_messages(4)[-1] == ("b", b"heard")
    assert one.confirmed[-1] == ("b", 4)
    for end in (one.intake, other.intake, outlet):
        end.check()
        end.close(farewell=True)


def test_a_lot_at_once_is_taken_in_turns() -> None:
    taken, outlet = opened("kombu+memory://")
    taken.intake.change([("a", 1)], [])
    outlet.publish([("a", b"%d" % number) for number in range(300)])
    assert taken.take()
    assert [int(payload) for _, payload in taken.until_messages(300)] == list(range(300))
    taken.intake.close(farewell=True)


@pytest.mark.parametrize("farewell", [False, True])
def test_a_queue_that_was_given_up_is_gone(url: str, farewell: bool) -> None:
    """Or else everything would be put into it for ever."""
    taken, outlet = opened(url)
    intake: Any = taken.intake
    name, channel = intake._queue.name, outlet._link.channel
    assert name in {each[2] for each in channel.get_table("roomcast")}
    intake.close(farewell=farewell)
    outlet.publish([("a", b"x")])
    assert name not in {each[2] for each in channel.get_table("roomcast")}
    assert not channel._has_queue(name) if url == "kombu+memory://" else channel._size(name) == 0
    outlet.close(farewell=True)


def test_what_is_no_message_is_dropped_and_counted() -> None:
    taken, outlet = opened("kombu+memory://")
    taken.intake.change([("a", 1)], [])
    channel = outlet._link.channel
    properties = {"body_encoding": None, "delivery_tag": "1", "delivery_info": {"routing_key": "a"}}
    memory.Channel.queues[taken.intake._queue.name].put({"body": ["no bytes"], "properties": properties})  # type: ignore[attr-defined]  # what is inside is tested
    memory.Channel.queues[taken.intake._queue.name].put({"body": "", "properties": {"delivery_tag": "1"}})  # type: ignore[attr-defined]  # as above
    outlet.publish([("a", b"x")])
    assert taken.until_messages(1) == [("a", b"x")]
    assert taken.intake.malformed == 1
    channel.close()
    taken.intake.close(farewell=True)


def test_what_goes_wrong_while_it_connects() -> None:
    for end in (BroadcastIntake(setup("redis://127.0.0.1:1")), BroadcastOutlet(setup("redis://127.0.0.1:1"))):
        with pytest.raises(BrokerUnreachableError):
            end.connect()
        end.close(farewell=False)

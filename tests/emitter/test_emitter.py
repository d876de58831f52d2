"""``Emitter`` as applications use it: what it takes, chains, processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import Traits
from roomcast_brokers.errors import (
    AddressError,
    BrokerURLError,
    KeyRingError,
    MessageTooLargeError,
    MissingExtraError,
    RoomTypeError,
    UnencodableError,
)
from roomcast_brokers.messages import CloseRoom, Disconnect, Emit, Join, Leave
from roomcast_brokers.registry import BackEnd
from roomcast_emitter import Emitter, EmitterClosedError
from roomcast_emitter.delivery import Delivery
from roomcast_emitter.emitter import _forget_all_parents
from tests.support.patience import PATIENCE
from tests.support.senders import TABLE, FakeBroker
from tests.support.tree import ROOT

SID = "tagA" + "s" * 16
CHANNELS = Channels("socketio")


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def emitter(broker: FakeBroker) -> Iterator[Emitter]:
    with broker.emitter() as emitter:
        yield emitter


def emitted(broker: FakeBroker) -> list[tuple[str, Emit]]:
    sent = [envelope for envelope in broker.envelopes() if not envelope.control]
    channels = [envelope.channel for envelope in sent for _ in envelope.operations]
    return [(channel, body) for channel, body in zip(channels, broker.bodies(), strict=True) if isinstance(body, Emit)]


# --- making one -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("nonsense",), BrokerURLError),
        (("redid://localhost",), BrokerURLError),
        (("memory://", "a cluster"), AddressError),
        (("memory://", "shop", [""]), KeyRingError),
        (("memory://", "shop", "secret"), KeyRingError),
    ],
)
def test_what_could_never_work_fails_when_it_is_made(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    with pytest.raises(error):
        Emitter(*arguments)


def test_a_missing_package_names_the_extra_of_this_distribution() -> None:
    table = {"x": BackEnd("no_such_module:X", extra="redis", sender="no_such_module:X")}
    with pytest.raises(MissingExtraError, match=r"pip install 'roomcast-emitter\[redis\]'"):
        Emitter("x://", broker_options={"table": table})


def test_options_that_do_not_exist_are_told(broker: FakeBroker) -> None:
    with pytest.raises(TypeError, match="an emitter has no option max_bufer_bytes, on_failre"):
        Emitter("fake://", on_failre="drop", max_bufer_bytes=1)  # type: ignore[call-arg]  # the point of the test
    with pytest.raises(ValueError, match="on_failure"):
        broker.emitter(on_failure="retry")  # type: ignore[arg-type]


# --- emitting ---------------------------------------------------------------------------------------------------------


def test_everything_an_emit_can_say(emitter: Emitter, broker: FakeBroker) -> None:
    receipt = emitter.emit("e", (1, b"x"), to=["a", 7], skip_sid=[SID], namespace="/x", volatile=True)
    assert receipt.delivered
    ((channel, emit),) = emitted(broker)
    assert channel == CHANNELS.everyone
    assert (emit.namespace, emit.rooms, emit.sids, emit.except_sids) == ("/x", ("a", 7), (), (SID,))
    assert emit.args == b'["e",1,{"_placeholder":true,"num":0}]'
    assert emit.attachments == (b"x",)
    assert emit.volatile


def test_arguments_by_position_are_those_of_the_server(emitter: Emitter, broker: FakeBroker) -> None:
    emitter.emit("e", 1, None, "room", SID, "/x")
    emitter.send("hello", None, "room", SID, "/x")
    (_, first), (_, second) = emitted(broker)
    assert (first.rooms, first.except_sids, first.namespace) == (("room",), (SID,), "/x")
    assert second == Emit(2, "/x", "json", b'["message","hello"]', rooms=("room",), except_sids=(SID,))


def test_a_chain(emitter: Emitter, broker: FakeBroker) -> None:
    orders = emitter.to("a").in_namespace("/shop")
    orders.except_("b").emit("e", 1)
    orders.send("hello")
    emitter.except_(SID).emit("e", 2, volatile=True)
    (_, first), (_, second), (_, third) = emitted(broker)
    assert (first.namespace, first.rooms, first.except_rooms) == ("/shop", ("a",), ("b",))
    assert second == Emit(2, "/shop", "json", b'["message","hello"]', rooms=("a",))
    assert (third.rooms, third.except_sids, third.volatile) == (None, (SID,), True)


def test_nobody_is_never_everybody(emitter: Emitter, broker: FakeBroker) -> None:
    nobody: list[Collection[str]] = [[], (), set()]
    for to in nobody:
        assert emitter.emit("e", to=to).delivered
    assert emitter.to().emit("e").delivered
    emitter.emit("e", to="")
    emitter.emit("e", to=0)
    assert [channel for channel, _ in emitted(broker)] == [CHANNELS.room("/", ""), CHANNELS.room("/", 0)]


def test_where_a_channel_per_room_is_too_dear_it_writes_to_shards() -> None:
    broker = FakeBroker(traits=Traits(cheap_subscriptions=False))
    with broker.emitter() as emitter:
        emitter.emit("e", to="room")
        emitter.close_room("room")
        emitter.emit("e")
    shard = Channels("socketio", shards=True).room("/", "room")
    channels = [envelope.channel for envelope in broker.envelopes() if not envelope.control]
    assert channels == [shard, shard, CHANNELS.everyone]


def test_more_may_wait_for_a_broker_that_keeps_messages() -> None:
    broker = FakeBroker(traits=Traits(durable=True))
    broker.up = False
    with broker.emitter() as emitter:
        limits = emitter._terms.box().limits
        assert (limits.max_bytes, limits.max_seconds) == (64 * 2**20, 120.0)
    with broker.emitter(max_buffer_bytes=2_000_000, max_buffer_seconds=1.0) as emitter:
        limits = emitter._terms.box().limits
        assert (limits.max_bytes, limits.max_seconds) == (2_000_000, 1.0)


def test_rooms_and_clients(emitter: Emitter, broker: FakeBroker) -> None:
    for receipt in (
        emitter.enter_room(SID, "room"),
        emitter.leave_room(SID, "room", "/x"),
        emitter.close_room("room"),
        emitter.disconnect(SID),
        emitter.disconnect(SID, "/x", close=True),
    ):
        assert receipt.delivered
    assert broker.bodies() == [
        Join("/", SID, "room"),
        Leave("/x", SID, "room"),
        CloseRoom("/", "room"),
        Disconnect("/", SID),
        Disconnect("/x", SID, True),
    ]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda emitter: emitter.emit("e", object()), UnencodableError),
        (lambda emitter: emitter.emit("e", object(), to=[]), TypeError),
        (lambda emitter: emitter.emit("connect"), ValueError),
        (lambda emitter: emitter.emit("e", to=1.5), RoomTypeError),
        (lambda emitter: emitter.emit("e", "x" * 1_040_000), MessageTooLargeError),
        (lambda emitter: emitter.to("a").emit("e", {1, 2}.__iter__()), UnencodableError),
    ],
)
@pytest.mark.parametrize("up", [True, False])
def test_mistakes_are_told_at_the_call_whatever_the_broker_does(
    call: Any, error: type[Exception], up: bool, broker: FakeBroker
) -> None:
    broker.up = up
    emitter = broker.emitter()
    with pytest.raises(error):
        call(emitter)
    assert broker.attempts == 0


def test_clusters_and_keys(broker: FakeBroker) -> None:
    FakeBroker("other", "shop")
    with Emitter("fake://other", "shop", ["secret"], broker_options={"table": TABLE}) as emitter:
        assert emitter.emit("e").delivered


# --- processes --------------------------------------------------------------------------------------------------------


def forked(fork: str) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, "-m", "tests.support.forked_emitter", fork],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize("fork", ["hooks", "no-hooks", "locked", "queued"])
def test_a_child_is_an_emitter_of_its_own(fork: str) -> None:
    found = forked(fork)
    child, parent = found["child"], found["parent"]
    assert child["delivered"]
    assert parent["delivered"]
    assert child["connections"] == 2  # the parent's, which it inherited, and its own
    origins = {tuple(origin) for origin in child["origins"]}
    assert len(origins) == 2
    assert {tuple(origin) for origin in parent["origins"]} == {tuple(child["origins"][0])}
    assert child["forgotten"]
    assert child["forgotten_at_once"] is (fork != "no-hooks")
    assert not parent["forgotten"]
    assert child["flushed"]
    assert child["waiting"] == 0


def test_what_a_parent_has_queued_it_delivers_itself() -> None:
    found = forked("queued")
    assert '["e","queued"]' not in found["child"]["events"]
    assert found["child"]["queued"] == "queued"  # nobody tells the child


def test_two_threads_of_a_new_child_share_what_the_first_made(emitter: Emitter) -> None:
    emitter._deliveries.clear()
    found: list[Delivery] = []
    barrier = threading.Barrier(4)

    def look() -> None:
        barrier.wait(PATIENCE)
        found.append(emitter._delivery())

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(set(found)) == 1


def test_a_closed_emitter_is_closed_in_children_too(broker: FakeBroker) -> None:
    emitter = broker.emitter()
    emitter.close()
    emitter._deliveries.clear()
    with pytest.raises(EmitterClosedError):
        emitter.emit("e")


def test_a_child_lets_go_of_what_its_parent_uses(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, as if it were a child: with Python's hook, and without."""
    emitter = broker.emitter()
    emitter.emit("e")
    parents: Any = emitter._delivery()._sender
    _forget_all_parents()
    assert parents.forgotten
    emitter.emit("e")
    grandparents: Any = emitter._delivery()._sender
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert emitter.emit("e").delivered
    assert grandparents.forgotten
    assert list(emitter._deliveries) == [-1]
    assert len({envelope.origin for envelope in broker.envelopes()}) == 3
    emitter.close()


def test_the_end(emitter: Emitter) -> None:
    emitter.emit("e")
    assert emitter.counts().delivered == 1
    assert emitter.flush()
    assert emitter.close()
    assert emitter.close()

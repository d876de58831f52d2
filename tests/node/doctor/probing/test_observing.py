"""Hearing who is on a broker."""

from __future__ import annotations

import time  # time: what beats say about it is compared with it
from typing import Any

import pytest

import roomcast
from roomcast.doctor.probing import observing
from roomcast.doctor.probing.observing import Observer, Place
from roomcast_brokers.channels import Channels
from roomcast_brokers.codec import EnvelopeCodec, encode_body, new_origin
from roomcast_brokers.contracts import State
from roomcast_brokers.errors import BrokerUnreachableError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Beat, Goodbye, Kind, Marks
from tests.support.cluster_nodes import ThreadServers, new_cluster
from tests.support.inprocess import eventually
from tests.support.patience import PATIENCE
from tests.support.services import free_port

BEAT = 0.05
SHORT = 0.2


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "HEARD_AT_LEAST", SHORT)
    monkeypatch.setattr(observing, "HEARD_AT_MOST", PATIENCE)


def servers(cluster: str, *tags: str, **more: Any) -> ThreadServers:
    options = {"broker": f"memory://{cluster}", "cluster": cluster, "beat_interval": BEAT, **more}
    return ThreadServers({tag: roomcast.AsyncServer(tag=tag, **options) for tag in tags})


async def test_nodes_are_heard() -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa", "bbbb"):
        async with Observer(Place(f"memory://{cluster}", cluster)) as observer:
            assert await observer.reach()
            await observer.hear({"aaaa", "bbbb"})
            assert observer.tags == {"aaaa", "bbbb"}
            seen = observer.seen()
    assert seen.up is not None
    assert (seen.scheme, seen.cluster, dict(seen.unreadable)) == ("memory", cluster, {})
    assert seen.listened >= SHORT
    for node in seen.heard:
        assert node.beats > 0
        assert not node.signed
        assert abs(node.offset) < 5


@pytest.mark.parametrize(("keys", "reason"), [((), None), (("right",), None), (("wrong",), "key")])
async def test_nodes_that_sign(keys: tuple[str, ...], reason: str | None) -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa", keys=["right"]):
        async with Observer(Place(f"memory://{cluster}", cluster, keys)) as observer:
            await eventually(lambda: observer.seen().heard or observer.seen().unreadable)
            seen = observer.seen()
    assert seen.with_keys is bool(keys)
    assert [node.signed for node in seen.heard] == ([True] if reason is None else [])
    assert set(seen.unreadable) == (set() if reason is None else {reason})


async def test_a_node_that_is_not_heard_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "HEARD_AT_MOST", 2 * SHORT)
    async with Observer(Place("memory://nobody", "socketio")) as observer:
        await observer.reach()
        await observer.hear({"aaaa"})
        assert observer.seen().listened >= 2 * SHORT


async def test_a_broker_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "REACH_BROKER", SHORT)
    async with Observer(Place(f"redis://127.0.0.1:{free_port()}", "socketio")) as observer:
        assert not await observer.reach()
        seen = observer.seen()
    assert (seen.up, seen.heard) == (None, ())
    assert "refused" in seen.cause.lower()


async def told(*messages: bytes, **more: Any) -> Observer:
    """An observer that hears these on the channel of everybody, without a broker."""
    observer = Observer(Place("memory://", "socketio", **more))
    for message in messages:
        observer.delivered(Channels("socketio").everyone, message)
    return observer


def codec(tag: str, keys: KeyRing | None = None) -> EnvelopeCodec:
    return EnvelopeCodec(new_origin(tag), "socketio", keys)


def control(tag: str, kind: Kind, body: Any, ahead: float = 0.0, keys: KeyRing | None = None) -> bytes:
    sent_ms = int((time.time() + ahead) * 1000)
    return codec(tag, keys).control(Channels("socketio").everyone, kind, encode_body(body), sent_ms)


async def test_what_beats_say() -> None:
    late = control("aaaa", Kind.BEAT, Beat(1, 1, {"/": 2, "/chat": 3}), ahead=-3.0)
    soon = control("aaaa", Kind.BEAT, Beat(2, 1, {"/": 4}), ahead=-1.0)
    (node,) = (await told(late, soon)).seen().heard
    assert (node.tag, node.beats, node.clients) == ("aaaa", 2, 4)
    assert -1.5 < node.offset <= -1.0


async def test_who_says_goodbye_is_gone() -> None:
    observer = await told(
        control("aaaa", Kind.BEAT, Beat(1, 1, {})),
        control("aaaa", Kind.GOODBYE, Goodbye()),
        control("bbbb", Kind.MARKS, Marks(())),  # says nothing about who is there
    )
    assert observer.tags == set()


async def test_strangers_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "MAX_NODES", 2)
    observer = await told(*(control(tag, Kind.BEAT, Beat(1, 1, {})) for tag in ("aaaa", "bbbb", "cccc", "aaaa")))
    assert {node.tag: node.beats for node in observer.seen().heard} == {"aaaa": 2, "bbbb": 1}


async def test_what_cannot_be_read_is_counted() -> None:
    seen = (await told(b"rubbish", b"x" * 100, control("aaaa", Kind.BEAT, Beat(1, 1, {})), keys=("k",))).seen()
    assert dict(seen.unreadable) == {"short": 1, "magic": 1, "unsigned": 1}


async def test_why_it_is_away() -> None:
    observer = await told()
    observer.changed(State.CONNECTING, None)
    observer.changed(State.CONNECTING, BrokerUnreachableError("no route"))
    observer.changed(State.CONNECTING, None)
    assert observer.seen().cause == "no route"

"""The broker with real servers; what holds for every back end is in tests/contract."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from roomcast_brokers.backends.redis import RedisBroker, RedisSender, broker
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.errors import (
    BrokerClosedError,
    BrokerUnreachableError,
    BrokerURLError,
)
from tests.brokers.backends.redis.opened import opened
from tests.support.listeners import Event, RecordingListener
from tests.support.redis_groups import Cluster, Sentinels
from tests.support.services import RedisServer, wait_for
from tests.support.stubborn_servers import answering

CHANNELS = [f"test:{number}" for number in range(30)]
"""Enough for each server of a cluster to have some."""


def connections(server: RedisServer) -> tuple[set[str], set[str]]:
    """The ids of those that publish and of those that subscribe."""
    found = [{client["id"] for client in server.clients(kind)} for kind in ("normal", "pubsub")]
    return found[0], found[1]


@pytest.mark.parametrize(
    ("url", "ordered"),
    [("redis://h", True), ("redis+sentinel://h", True), ("redis+cluster://h", False), ("redis://h?cluster=1", False)],
)
def test_traits(url: str, ordered: bool) -> None:
    assert RedisBroker(url).traits == RedisSender(url).traits == Traits(ordered_across_channels=ordered)


def test_a_wrong_url_is_told_at_once() -> None:
    with pytest.raises(BrokerURLError):
        RedisBroker("redis://h1,h2")


async def test_nothing_is_published_before_it_is_up(shared: RedisServer) -> None:
    with pytest.raises(BrokerClosedError):
        RedisBroker(shared.url).publish("c", b"before it is open")
    async with opened(shared.url) as one:
        with pytest.raises(BrokerUnreachableError):
            one.broker.publish("c", b"before it is up")
        with pytest.raises(BrokerUnreachableError):
            one.broker.publish_batch([("c", b"before it is up")])


async def test_who_only_writes_has_one_connection(own: RedisServer) -> None:
    async with opened(own.url) as one:
        await one.up()
        one.broker.publish("c", b"x")
        await one.wait(lambda heard: heard.accepted_count == 1)
        publishing, subscribing = await asyncio.to_thread(connections, own)
        assert (len(publishing), len(subscribing)) == (1, 0)
        await one.hear_of("c")
        publishing, subscribing = await asyncio.to_thread(connections, own)
        assert (len(publishing), len(subscribing)) == (1, 1)
        assert one.heard.states == [State.UP]


async def test_a_turn_is_one_command(own: RedisServer) -> None:
    async with opened(own.url) as one:
        await one.up()
        await one.hear_of(*CHANNELS)
        for channel in CHANNELS:
            one.broker.unsubscribe(channel)
        await one.hear_of("last")
    counts = await asyncio.to_thread(own.command, "INFO", "commandstats")
    assert counts["cmdstat_subscribe"]["calls"] == 2
    assert counts["cmdstat_unsubscribe"]["calls"] == 1


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
async def test_when_either_breaks_both_are_made_anew(kind: str, own: RedisServer) -> None:
    async with opened(own.url) as one:
        await one.hear_of(*CHANNELS)
        before = await asyncio.to_thread(connections, own)
        await asyncio.to_thread(own.client_kill, kind)
        await one.up_again()
        after = await asyncio.to_thread(connections, own)
        assert not (before[0] | before[1]) & (after[0] | after[1])
        assert (len(after[0]), len(after[1])) == (1, 1)
        for channel in CHANNELS:
            await one.echoed(channel, b"heard again")


async def test_a_frozen_server_is_given_up_by_whoever_notices(own: RedisServer) -> None:
    async with opened(own.url, redis_options={"socket_connect_timeout": 0.2}) as one:
        await one.hear_of("c")
        own.suspend()
        one.broker.publish("c", b"into the ice")
        one.broker.reset()
        assert one.heard.states == [State.UP], "never told out of a call of its own"
        await one.away("nothing came through them")
        await one.away("did not answer within 0.2 s")
        one.broker.reset()  # changes nothing: it is at it
        own.resume()
        await one.up_again()
        await one.echoed("c", b"thawed")


async def test_a_wrong_password_is_a_state_with_a_cause(own: RedisServer) -> None:
    await asyncio.to_thread(own.config_set, "requirepass", "another")
    async with opened(f"redis://:secret@127.0.0.1:{own.port}") as one:
        one.broker.subscribe("c", 1)
        await one.away("WRONGPASS")
        await one.wait(lambda heard: len(heard.causes) >= 3)  # patiently
        assert not [cause for cause in one.heard.causes if "secret" in str(cause) or "://" in str(cause)]
        await asyncio.to_thread(own.config_set, "requirepass", "secret")
        await one.up()
        await one.echoed("c", b"let in")


async def test_a_certificate_that_is_not_there_yet(secret: RedisServer, tmp_path: Any) -> None:
    certificate = tmp_path / "certificate.pem"
    url = f"rediss://:p%40ss%2Fword@127.0.0.1:{secret.port}?ssl_ca_certs={certificate}"
    async with opened(url) as one:
        await one.away("FileNotFoundError")
        certificate.write_bytes(secret.certificate.read_bytes())
        await one.up()


async def test_a_name_that_nobody_has_is_tried_again() -> None:
    async with opened("redis://no-such-host.invalid") as one:
        await one.away("gaierror")
        await one.wait(lambda heard: len(heard.causes) >= 2)


async def test_a_channel_that_is_forbidden_is_told_as_the_cause(own: RedisServer) -> None:
    await asyncio.to_thread(own.command, "ACL", "SETUSER", "modest", "on", ">pw", "resetchannels", "&mine", "+@all")
    async with opened(f"redis://modest:pw@127.0.0.1:{own.port}") as one:
        await one.hear_of("mine")
        one.broker.publish("yours", b"x")
        await one.away("refuses: NOPERM")
        await one.up()
        one.broker.subscribe("yours", 1)
        await one.away("refuses: NOPERM")
        one.broker.unsubscribe("yours")
        await one.up()
        await one.echoed("mine", b"goes on")


async def test_a_server_that_accepts_and_closes_is_not_asked_without_a_pause() -> None:
    """Each time it gets further than before a break; the pauses go on to grow all the same."""
    with answering(b"+OK\r\n", close=True) as port:
        async with opened(f"redis://127.0.0.1:{port}") as one:
            start = asyncio.get_running_loop().time()
            await one.wait(lambda heard: len(heard.causes) >= 12)
            assert asyncio.get_running_loop().time() - start > 12 * 0.015


async def test_a_listener_that_fails_does_not_end_the_supervision(own: RedisServer) -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))

    class FailingListener(RecordingListener):
        def changed(self, state: State, cause: Exception | None) -> None:
            super().changed(state, cause)
            if self.states == [State.UP]:
                raise RuntimeError("a fault of the listener")

    heard = FailingListener()
    one = RedisBroker(own.url)
    one.subscribe("c", 1)
    one.open(heard)
    await heard.until(lambda heard: heard.states == [State.UP, State.CONNECTING, State.UP])
    one.publish("c", b"x")
    await heard.until(lambda heard: heard.payloads("c"))
    await one.close()
    assert [str(each["exception"]) for each in failures] == ["a fault of the listener"]


async def test_close_waits_for_answers_and_not_for_ever(own: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "CLOSE_TIMEOUT", 0.2)
    async with opened(own.url) as one:
        await one.up()
        own.suspend()
        one.broker.publish("c", b"never answered")
    own.resume()
    assert one.heard.states == [State.UP, State.CLOSED]
    assert one.heard.accepted_count == 0


async def test_a_break_while_closing(own: RedisServer) -> None:
    async with opened(own.url) as one:
        await one.hear_of("c")
        own.suspend()
        one.broker.publish("c", b"never answered")
        closing = asyncio.ensure_future(one.broker.close())
        await asyncio.sleep(0)
        await asyncio.to_thread(own.kill)
        await closing
        assert one.heard.states == [State.UP, State.CLOSED]


async def test_calls_out_of_the_listener(own: RedisServer) -> None:
    async with opened(own.url) as one:

        def answer(event: Event) -> None:
            if event[0] == "changed" and event[1] is State.UP:
                one.broker.subscribe("answers", 1)
                one.broker.publish("questions", b"?")
            elif event[:2] == ("delivered", "questions"):
                one.broker.unsubscribe("questions")
                one.broker.publish("answers", b"!")

        one.heard.on_event = answer
        one.broker.subscribe("questions", 1)
        for _ in range(3):
            await one.wait(lambda heard: heard.payloads("answers")[-1:] == [b"!"])
            one.heard.by_channel.clear()
            one.broker.subscribe("questions", 1)
            await asyncio.to_thread(own.client_kill_all)


@pytest.mark.long
async def test_failover_of_a_master_that_died() -> None:
    with Sentinels() as group:
        async with opened(group.url) as one:
            await one.hear_of(*CHANNELS)
            master = group.master
            await asyncio.to_thread(master.kill)
            await one.up_again()
            await asyncio.to_thread(wait_for, lambda: group.master is not master, "that the first Sentinel knows")
            for channel in CHANNELS:
                await one.echoed(channel, b"from the new master")


@pytest.mark.long
async def test_failover_of_a_master_that_lives() -> None:
    """Sentinel cuts its connections; it is a replica then, and what is published there reaches nobody."""
    with Sentinels() as group:
        async with opened(group.url) as one, opened(group.url) as other:
            await one.hear_of("c")
            await other.hear_of("c")
            master = group.master
            await asyncio.to_thread(group.sentinels[0].command, "SENTINEL", "FAILOVER", group.service)
            await asyncio.to_thread(wait_for, lambda: group.master is not master, "a new master")
            await one.up_again()
            await other.up_again()
            await one.echoed("c", b"one")
            await other.wait(lambda heard: b"one" in heard.payloads("c"))


@pytest.mark.long
async def test_a_slot_that_moves_and_one_that_stays() -> None:
    with Cluster() as cluster:
        moving = CHANNELS[0]
        source = cluster.owner(moving)
        staying = next(channel for channel in CHANNELS if cluster.owner(channel) is not source)
        target = next(server for server in cluster.servers if server is not source)
        async with opened(cluster.url) as reader, opened(cluster.url) as writer:
            await reader.hear_of(moving, staying)
            await writer.up()
            kept = await asyncio.to_thread(connections, cluster.owner(staying))
            await asyncio.to_thread(cluster.move, moving, target)
            await reader.up_again()
            for _ in range(100):  # other nodes hear of it later, and say so by another MOVED
                await writer.up()
                try:
                    writer.broker.publish(moving, b"to the new owner")
                    writer.broker.publish(staying, b"to the old one")
                except BrokerUnreachableError:
                    continue
                await asyncio.sleep(0.05 if not reader.heard.payloads(moving) else 0)
                if reader.heard.payloads(moving) and reader.heard.payloads(staying):
                    break
            assert reader.heard.payloads(moving)
            assert reader.heard.payloads(staying)
            still = await asyncio.to_thread(connections, cluster.owner(staying))
            assert kept[1] & still[1], "the subscription that did not move was kept"


@pytest.mark.long
async def test_in_a_cluster_others_are_heard_while_one_server_is_away() -> None:
    with Cluster() as cluster:
        owners = {channel: cluster.owner(channel) for channel in CHANNELS}
        async with opened(cluster.url) as reader:
            await reader.hear_of(*CHANNELS)
            gone = owners[CHANNELS[0]]
            there = next(channel for channel in CHANNELS if owners[channel] is not gone)
            await asyncio.to_thread(gone.kill)
            await reader.away("")
            await asyncio.to_thread(owners[there].command, "SPUBLISH", there, "meanwhile")
            await reader.wait(lambda heard: heard.payloads(there) == [b"meanwhile"])
            assert reader.heard.state is State.CONNECTING
            reader.broker.unsubscribe(there)
            await asyncio.to_thread(owners[there].command, "SPUBLISH", there, "unheard")
            await asyncio.to_thread(gone.start)
            await reader.up_again()
            await reader.echoed(CHANNELS[0], b"back")
            assert reader.heard.payloads(there) == [b"meanwhile"]


@pytest.mark.long
async def test_messages_of_a_cluster_are_accepted_in_their_order() -> None:
    with Cluster() as cluster:
        async with opened(cluster.url) as one:
            await one.hear_of(*CHANNELS)
            for number in range(0, 3_000, 2):
                one.broker.publish(CHANNELS[number % len(CHANNELS)], b"%d" % number)
                one.broker.publish_batch([(CHANNELS[(number + 1) % len(CHANNELS)], b"%d" % (number + 1))])
            await one.wait(lambda heard: heard.accepted_count == 3_000 and len(heard.messages) == 3_000)
            for index, channel in enumerate(CHANNELS):
                expected = [b"%d" % number for number in range(index, 3_000, len(CHANNELS))]
                assert one.heard.payloads(channel) == expected

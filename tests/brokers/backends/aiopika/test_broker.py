"""The broker on a RabbitMQ that runs: what is left there, who is let in, and what happens behind its back."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from pamqp.commands import Connection as Methods

from roomcast_brokers.backends.aiopika import AiopikaBroker, broker
from roomcast_brokers.contracts import State, Traits
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError, BrokerURLError
from tests.brokers.backends.aiopika.played_server import PlayedServer
from tests.support.listeners import Event, RecordingListener
from tests.support.opened import Opened
from tests.support.opened import opened as open_broker
from tests.support.rabbitmq_server import RabbitServer
from tests.support.stubborn_servers import answering
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture
def exchange() -> str:
    """What the names of everything that a test declares begin with."""
    return f"test-{secrets.token_hex(4)}"


def opened(url: str, **options: Any) -> AbstractAsyncContextManager[Opened[AiopikaBroker]]:
    return open_broker(AiopikaBroker(url, **options))


async def queues(server: RabbitServer, exchange: str) -> list[dict[str, Any]]:
    found = await asyncio.to_thread(server.queues)
    return [queue for queue in found if queue["name"].startswith(exchange)]


# --- without a server -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [False, True])
def test_traits(durable: bool) -> None:
    traits = Traits(durable=durable, ordered_across_channels=True, cheap_subscriptions=False)
    assert AiopikaBroker(durable=durable).traits == traits


def test_a_wrong_url_is_told_at_once() -> None:
    with pytest.raises(BrokerURLError, match="did you mean durable"):
        AiopikaBroker("amqp://h?durabel=1")
    with pytest.raises(BrokerURLError, match="heartbeat"):
        AiopikaBroker("amqp://h", heartbeat=-1)


async def test_a_name_that_nobody_has_is_tried_again() -> None:
    async with opened("amqp://no-such-host.invalid") as one:
        await one.away("cannot be reached: gaierror")
        await one.wait(lambda heard: len(heard.causes) >= 2)


async def test_a_server_that_lets_one_in_and_closes_is_not_asked_without_a_pause() -> None:
    with answering(b"", close=True) as port:
        async with opened(f"amqp://127.0.0.1:{port}") as one:
            start = asyncio.get_running_loop().time()
            await one.wait(lambda heard: len(heard.causes) >= 8)
            assert asyncio.get_running_loop().time() - start > 8 * 0.015


async def test_a_server_that_never_answers_is_tried_again() -> None:
    async with PlayedServer() as server:
        server.mute = True
        async with opened(f"{server.url}?timeout=0.1") as one:
            await one.away("stopped to answer")
            server.mute = False
            await one.up()


async def test_a_file_that_is_not_there_yet(tmp_path: Path, shared: RabbitServer) -> None:
    certificate = tmp_path / "certificate.pem"
    async with opened(f"amqps://127.0.0.1:{shared.tls_port}?cafile={certificate}") as one:
        await one.away("FileNotFoundError")
        certificate.write_bytes(shared.certificate.read_bytes())
        await one.up()


# --- messages ---------------------------------------------------------------------------------------------------------


async def test_nothing_is_published_before_it_is_up(shared: RabbitServer) -> None:
    with pytest.raises(BrokerClosedError):
        AiopikaBroker(shared.url).publish("c", b"before it is open")
    async with opened(shared.url) as one:
        with pytest.raises(BrokerUnreachableError):
            one.broker.publish("c", b"before it is up")
        with pytest.raises(BrokerUnreachableError):
            one.broker.publish_batch([("c", b"before it is up")])


async def test_over_tls(shared: RabbitServer) -> None:
    async with opened(shared.tls_url) as one:
        await one.hear_of("tls")
        await one.echoed("tls", b"x" * 300_000)
    async with opened(shared.tls_url.partition("?")[0]) as stranger:
        await stranger.away("SSLCertVerificationError")


async def test_calls_out_of_the_listener(shared: RabbitServer) -> None:
    async with opened(shared.url) as one:

        def answer(event: Event) -> None:
            if event[0] == "changed" and event[1] is State.UP:
                one.broker.subscribe("answers", 1)
                one.broker.publish("questions", b"?")
            elif event[:2] == ("delivered", "questions"):
                one.broker.unsubscribe("questions")
                one.broker.publish("answers", b"!")

        one.heard.on_event = answer
        for _ in range(3):
            one.broker.subscribe("questions", 1)
            await one.wait(lambda heard: heard.payloads("answers")[-1:] == [b"!"])
            one.heard.by_channel.clear()
            one.broker.reset()


async def test_a_listener_that_fails_does_not_end_it(shared: RabbitServer) -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))

    class FailingListener(RecordingListener):
        def changed(self, state: State, cause: Exception | None) -> None:
            super().changed(state, cause)
            if len(self.states) in (1, 2):
                raise RuntimeError("a fault of the listener")

    heard = FailingListener()
    one = AiopikaBroker(shared.url)
    one.subscribe("c", 1)
    one.open(heard)
    await heard.until(lambda heard: heard.states == [State.UP, State.CONNECTING, State.UP])
    one.publish("c", b"x")
    await heard.until(lambda heard: heard.payloads("c"))
    await one.close()
    assert {str(each.get("exception")) for each in failures} == {"a fault of the listener"}


# --- what is on the server --------------------------------------------------------------------------------------------


async def test_who_only_writes_has_no_queue_and_who_listens_has_one(shared: RabbitServer, exchange: str) -> None:
    async with opened(shared.url, exchange=exchange, queue_bytes=2_000_000) as one:
        await one.up()
        one.broker.publish("c", b"x")
        await one.wait(lambda heard: heard.accepted_count == 1)
        assert await queues(shared, exchange) == []
        await one.hear_of("c", "d")
        (queue,) = await queues(shared, exchange)
        assert (queue["durable"], queue["auto_delete"], queue["exclusive"]) == (False, True, True)
        assert (queue["messages"], queue["consumers"]) == (0, 1)
        assert one.heard.states == [State.UP]
        bindings = await asyncio.to_thread(shared.bindings)
        assert {key for name, _, key in bindings if name == exchange} == {"c", "d"}
        names = [each["client_properties"] for each in await asyncio.to_thread(shared.connections)]
        assert "roomcast" in str(names)
    assert await queues(shared, exchange) == []


async def test_durable_a_queue_that_ends_when_the_broker_is_closed(shared: RabbitServer, exchange: str) -> None:
    async with opened(shared.url, exchange=exchange, durable=True, node="n1", retention=70) as one:
        await one.hear_of("c")
        (queue,) = await queues(shared, exchange)
        assert (queue["name"], queue["durable"], queue["exclusive"]) == (f"{exchange}.durable.n1", True, False)
        assert {name: value for name, _, value in queue["arguments"]}["x-expires"] == 70_000
    assert await queues(shared, exchange) == []


# --- who is let in ----------------------------------------------------------------------------------------------------


async def test_a_wrong_password_is_a_state_with_a_cause(shared: RabbitServer, exchange: str) -> None:
    await asyncio.to_thread(shared.add_user, exchange, "another")
    async with opened(f"amqp://{exchange}:s3cret@127.0.0.1:{shared.port}") as one:
        one.broker.subscribe("c", 1)
        await one.away("refuses the user or the password: ACCESS_REFUSED")
        await one.wait(lambda heard: len(heard.causes) >= 3)  # patiently
        assert not [cause for cause in one.heard.causes if "s3cret" in str(cause) or "://" in str(cause)]
        await asyncio.to_thread(shared.change_password, "s3cret", user=exchange)
        await one.up()
        await one.echoed("c", b"let in")


async def test_a_virtual_host_that_is_not_there(shared: RabbitServer) -> None:
    async with opened(f"{shared.url}nowhere") as one:
        await one.away("refuses the virtual host: NOT_ALLOWED")


async def test_an_exchange_of_another_kind(shared: RabbitServer, exchange: str) -> None:
    name = f'{{resource,<<"/">>,exchange,<<"{exchange}">>}}'
    await asyncio.to_thread(shared.evaluate, f"rabbit_exchange:declare({name},fanout,false,false,false,[],<<>>).")
    async with opened(shared.url, exchange=exchange) as one:
        await one.away("PRECONDITION_FAILED - inequivalent arg 'type'")
        await asyncio.to_thread(shared.delete_exchange, exchange)
        await one.up()


async def test_two_with_the_same_node_id(shared: RabbitServer, exchange: str) -> None:
    """F09: the second is refused, for as long as the first is there, and changes nothing for it."""
    options: dict[str, Any] = {"exchange": exchange, "durable": True, "node": "twin"}
    async with opened(shared.url, **options) as second:
        async with opened(shared.url, **options) as first:
            await first.hear_of("c")
            second.broker.subscribe("c", 1)
            await second.away("the node twin is in use: another process has the same node id")
            await second.wait(lambda heard: len(heard.causes) >= 3)  # patiently
            await first.echoed("c", b"undisturbed")
            assert first.heard.states == [State.UP]
        await second.up()
        await second.echoed("c", b"at last")
        assert second.heard.payloads("c") == [b"at last"]


# --- behind its back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durable", [False, True])
async def test_a_queue_that_somebody_deletes(durable: bool, shared: RabbitServer, exchange: str) -> None:
    async with opened(shared.url, exchange=exchange, durable=durable) as one:
        await one.hear_of("c", "d")
        (queue,) = await queues(shared, exchange)
        await asyncio.to_thread(shared.delete_queue, queue["name"])
        await one.up_again()
        assert "ended our consumer" in str(one.heard.causes)
        for channel in ("c", "d"):
            await one.echoed(channel, b"heard again")


async def test_an_exchange_that_somebody_deletes(shared: RabbitServer, exchange: str) -> None:
    """Who publishes is told; who only listens finds out that it hears nothing."""
    async with opened(shared.url, exchange=exchange) as one:
        await one.hear_of("c")
        await asyncio.to_thread(shared.delete_exchange, exchange)
        one.broker.publish("c", b"into the void")
        await one.up_again()
        assert "NOT_FOUND - no exchange" in str(one.heard.causes)
        await one.echoed("c", b"heard again")


async def test_a_frozen_server_is_given_up_by_whoever_notices(shared: RabbitServer) -> None:
    async with opened(f"{shared.url}?timeout=0.2") as one:
        await one.hear_of("c")
        shared.suspend()
        try:
            one.broker.publish("c", b"into the ice")
            one.broker.reset()
            assert one.heard.states == [State.UP], "never told out of a call of its own"
            await one.away("nothing came through it")
            await one.away("stopped to answer")
            one.broker.reset()  # changes nothing: it is at it
        finally:
            shared.resume()
        await one.up_again()
        await one.echoed("c", b"thawed")


@pytest.mark.parametrize("durable", [False, True])
async def test_while_memory_is_low_nothing_is_accepted(durable: bool, shared: RabbitServer, exchange: str) -> None:
    """The server hears nothing from whoever has published meanwhile; what it has goes on to be told."""
    async with opened(shared.url, exchange=exchange, durable=durable) as one:
        await one.hear_of("c")
        await asyncio.to_thread(shared.raise_memory_alarm)
        try:
            for number in range(3):
                one.broker.publish("c", b"first %d" % number)
            await one.away("RabbitMQ takes no messages at present: low on memory")
            with pytest.raises(BrokerUnreachableError, match="takes no messages"):
                one.broker.publish("c", b"refused")
            one.broker.subscribe("d", 2)
            accepted = one.heard.accepted_count
        finally:
            await asyncio.to_thread(shared.end_memory_alarm)
        await one.up_again()
        assert one.heard.accepted_count == accepted
        assert one.heard.generations == {"c": 1, "d": 2}
        one.broker.publish("d", b"second")
        await one.wait(lambda heard: heard.payloads("d"))
        assert one.heard.payloads("c") == [b"first 0", b"first 1", b"first 2"]
        await one.wait(lambda heard: heard.accepted_count == accepted + 1)
        assert len(one.heard.causes) == 3, "the connection was the same"


# --- durable ----------------------------------------------------------------------------------------------------------


async def test_what_came_while_one_was_away_is_told_when_it_is_back(shared: RabbitServer, exchange: str) -> None:
    options: dict[str, Any] = {"exchange": exchange, "durable": True}
    with TcpProxy(shared.port) as proxy:
        url = shared.url.replace(str(shared.port), str(proxy.port))
        async with opened(url, **options) as reader, opened(shared.url, **options) as writer:
            await reader.hear_of("c", "left", "d")
            await writer.up()
            await reader.echoed("c", b"before")
            proxy.refuse()
            await reader.away("")
            for number in range(500):
                writer.broker.publish("dc"[number % 2], b"%d" % number)
                writer.broker.publish("left", b"unheard")
            await writer.wait(lambda heard: heard.accepted_count == 1_000)
            reader.broker.unsubscribe("left")
            proxy.heal()
            await reader.up_again()
            await reader.wait(lambda heard: len(heard.messages) >= 501)
            await reader.echoed("d", b"after")
            numbers = [payload for _, payload in reader.heard.messages]
            assert numbers == [b"before", *(b"%d" % number for number in range(500)), b"after"]
            bindings = await asyncio.to_thread(shared.bindings)
            assert {key for name, _, key in bindings if name == f"{exchange}.durable"} == {"c", "d"}


async def test_what_waited_for_a_process_that_is_dead_is_not_told_to_the_next(
    shared: RabbitServer, exchange: str
) -> None:
    options: dict[str, Any] = {"exchange": exchange, "durable": True, "node": "n1"}
    with TcpProxy(shared.port) as proxy:
        url = shared.url.replace(str(shared.port), str(proxy.port))
        async with opened(shared.url, exchange=exchange, durable=True) as writer:
            await writer.up()
            async with opened(url, **options) as dead:
                await dead.hear_of("c")
                proxy.refuse()
                await dead.away("")
                writer.broker.publish("c", b"for the dead")
                await writer.wait(lambda heard: heard.accepted_count == 1)
            (queue,) = await queues(shared, exchange)
            assert queue["messages"] == 1
            async with opened(shared.url, **options) as heir:
                await heir.hear_of("c")
                await heir.echoed("c", b"for the living")
                assert heir.heard.payloads("c") == [b"for the living"]
    assert await queues(shared, exchange) == []


async def test_what_was_told_is_not_told_again_and_what_was_not_is(shared: RabbitServer, exchange: str) -> None:
    """The connection breaks in the middle of many messages: all of them come, in order, some of them twice."""
    options: dict[str, Any] = {"exchange": exchange, "durable": True}
    with TcpProxy(shared.port) as proxy:
        url = shared.url.replace(str(shared.port), str(proxy.port))
        async with opened(url, **options) as reader, opened(shared.url, **options) as writer:
            await reader.hear_of("c")
            await writer.up()
            for number in range(3_000):
                writer.broker.publish("c", b"%d" % number)
            await reader.wait(lambda heard: len(heard.messages) > 100)
            proxy.cut()
            await reader.up_again()
            await reader.wait(lambda heard: b"2999" in heard.payloads("c")[-1:])
            assert list(dict.fromkeys(map(int, reader.heard.payloads("c")))) == list(range(3_000))


@pytest.mark.long
async def test_a_connection_of_ours_that_the_server_takes_for_alive(shared: RabbitServer, exchange: str) -> None:
    """F07: over a path that loses everything nobody tells the server that we have gone: it lets nobody else consume."""
    options: dict[str, Any] = {"exchange": exchange, "durable": True, "heartbeat": 3}
    with TcpProxy(shared.port) as proxy:
        url = shared.url.replace(str(shared.port), str(proxy.port))
        async with opened(url, **options) as one:
            await one.hear_of("c")
            proxy.forget()
            await one.away("the server has not noticed yet that the one before has gone")
            await one.up_again()
            await one.echoed("c", b"at last")


@pytest.mark.long
async def test_messages_outlive_the_server(own: RabbitServer, exchange: str) -> None:
    options: dict[str, Any] = {"exchange": exchange, "durable": True}
    with TcpProxy(own.port) as proxy:
        url = own.url.replace(str(own.port), str(proxy.port))
        async with opened(url, **options) as reader, opened(own.url, **options) as writer:
            await reader.hear_of("c")
            await writer.up()
            proxy.refuse()
            await reader.away("")
            for number in range(1_000):
                writer.broker.publish("c", b"%d" % number)
            await writer.wait(lambda heard: heard.accepted_count == 1_000)
            await asyncio.to_thread(own.restart)
            proxy.heal()
            await reader.up_again()
            await reader.wait(lambda heard: len(heard.messages) >= 1_000)
            assert reader.heard.payloads("c") == [b"%d" % number for number in range(1_000)]


# --- half-open, and the end -------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_path_that_loses_everything_is_noticed_within_five_seconds(shared: RabbitServer) -> None:
    """F02."""
    with TcpProxy(shared.port) as proxy:
        async with opened(shared.url.replace(str(shared.port), str(proxy.port))) as one:
            await one.hear_of("c")
            loop = asyncio.get_running_loop()
            proxy.forget()
            began = loop.time()
            await one.away("stopped to answer")
            assert loop.time() - began < 5.5
            await one.up()
            await one.echoed("c", b"by another way")


async def test_close_waits_for_answers_and_not_for_ever(shared: RabbitServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "CLOSE_TIMEOUT", 0.2)
    async with opened(shared.url) as one:
        await one.up()
        shared.suspend()
        one.broker.publish("c", b"never answered")
    shared.resume()
    assert one.heard.states == [State.UP, State.CLOSED]
    assert one.heard.accepted_count == 0


async def test_a_break_while_closing(shared: RabbitServer) -> None:
    with TcpProxy(shared.port) as proxy:
        async with opened(shared.url.replace(str(shared.port), str(proxy.port))) as one:
            await one.hear_of("c")
            proxy.hold()
            one.broker.publish("c", b"never answered")
            closing = asyncio.ensure_future(one.broker.close())
            await asyncio.sleep(0)
            proxy.cut()
            await closing
            assert one.heard.states == [State.UP, State.CLOSED]


async def test_a_server_that_takes_nothing_any_more_while_closing() -> None:
    """What it did not take is not waited for."""
    async with PlayedServer() as server:
        one = AiopikaBroker(server.url)
        heard = RecordingListener()
        one.open(heard)
        await heard.until(lambda heard: heard.state is State.UP)
        server.mute = True
        one.publish("c", b"not taken")
        closing = asyncio.ensure_future(one.close())
        await asyncio.sleep(0)
        server.mute = False
        server.say(Methods.Blocked("low on memory"), 0)
        await closing
        assert heard.states == [State.UP, State.CLOSED]
        assert heard.accepted_count == 0
        assert server.heard[-1] == "Connection.Close"


async def test_closing_while_a_connection_is_being_made(shared: RabbitServer) -> None:
    for turns in range(12):
        one = AiopikaBroker(shared.url)
        heard = RecordingListener()
        one.subscribe("c", 1)
        one.open(heard)
        for _ in range(turns):
            await asyncio.sleep(0)
        await one.close()
        assert heard.states == [State.CLOSED]

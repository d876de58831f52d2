"""The two hot connections, on a transport that remembers what is written; bytes are fed by hand."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import hiredis
import pytest

from roomcast_brokers.backends.redis import connections
from roomcast_brokers.backends.redis.connections import PublishConnection, SubscribeConnection
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.listeners import RecordingListener


class RememberingTransport(asyncio.Transport):
    """Keeps each write; ``abort`` is told to the protocol in a later turn, as transports do."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False
        self.protocol: asyncio.Protocol | None = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = cast("asyncio.Protocol", protocol)

    def write(self, data: Any) -> None:
        assert not self.aborted
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            assert self.protocol is not None
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def commands(self) -> list[list[list[bytes]]]:
        """The commands of each write."""
        return [parsed(each) for each in self.writes]


def parsed(stream: bytes) -> list[Any]:
    reader = hiredis.Reader()
    reader.feed(stream)
    found = []
    while (item := reader.gets()) is not False:
        found.append(item)
    return found


def reply(*parts: bytes | int) -> bytes:
    """One answer of the server, an array."""
    items = [b":%d\r\n" % part if isinstance(part, int) else b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"*%d\r\n" % len(items) + b"".join(items)


async def turn() -> None:
    """One turn of the loop, and what it has called."""
    for _ in range(3):
        await asyncio.sleep(0)


class Publishing:
    def __init__(self, command: bytes = b"PUBLISH") -> None:
        self.accepted: list[int] = []
        self.broken: list[BrokerUnreachableError] = []
        self.connection = PublishConnection(
            asyncio.get_running_loop(), command, self.accepted.append, self.broken.append
        )
        self.transport = RememberingTransport()

    def attach(self) -> Publishing:
        self.connection.attach(self.transport)
        return self


class Subscribing:
    def __init__(self, *, sharded: bool = False) -> None:
        self.heard = RecordingListener()
        self.broken: list[BrokerUnreachableError] = []
        self.connection = SubscribeConnection(
            asyncio.get_running_loop(), self.heard, self.broken.append, sharded=sharded
        )
        self.transport = RememberingTransport()
        self.connection.attach(self.transport)

    async def subscribed(self, *channels: str) -> Subscribing:
        for generation, channel in enumerate(channels, 1):
            self.connection.subscribe(channel, generation)
        await turn()
        for channel in channels:
            self.connection.data_received(reply(b"subscribe", channel.encode(), 1))
        self.transport.writes.clear()
        return self


async def test_what_one_turn_publishes_is_one_write() -> None:
    p = Publishing().attach()
    for number in range(3):
        p.connection.publish("c", b"%d" % number)
    assert p.transport.writes == []
    await turn()
    p.connection.publish("ü", bytes(range(256)))
    await turn()
    assert p.transport.commands() == [
        [[b"PUBLISH", b"c", b"0"], [b"PUBLISH", b"c", b"1"], [b"PUBLISH", b"c", b"2"]],
        [[b"PUBLISH", "ü".encode(), bytes(range(256))]],
    ]


@pytest.mark.parametrize("payload", [b"", b"0\r\n\r\n", bytes(range(256)) * 5])
async def test_it_is_written_as_hiredis_writes_it(payload: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_REMEMBERED", 2)
    p = Publishing().attach()
    for channel in ("c", "c", "ü:0", "", "d", "c"):
        p.connection.publish(channel, payload)
        p.connection.publish_batch([(channel, payload)])
        expected = hiredis.pack_command(("PUBLISH", channel, payload))  # type: ignore[arg-type]  # see replies.pack
        assert p.transport.writes.pop() == expected * 2
        assert len(p.connection._heads) <= 2


async def test_a_batch_is_written_at_once_behind_what_waits() -> None:
    p = Publishing().attach()
    p.connection.publish("c", b"first")
    p.connection.publish_batch([("c", b"second"), ("d", b"third")])
    assert p.transport.commands() == [
        [[b"PUBLISH", b"c", b"first"], [b"PUBLISH", b"c", b"second"], [b"PUBLISH", b"d", b"third"]]
    ]
    await turn()
    p.connection.publish_batch([])
    assert len(p.transport.writes) == 1
    assert p.connection.outstanding == 3


async def test_what_is_published_before_there_is_a_connection_waits_for_it() -> None:
    p = Publishing(b"SPUBLISH")
    p.connection.publish("c", b"early")
    await turn()
    assert p.connection.outstanding == 1
    p.attach()
    assert p.transport.commands() == [[[b"SPUBLISH", b"c", b"early"]]]


async def test_answers_are_told_together() -> None:
    p = Publishing().attach()
    for _ in range(5):
        p.connection.publish("c", b"x")
    await turn()
    assert p.connection.outstanding == 5
    p.connection.data_received(b":0\r\n:7\r\n:1")
    p.connection.data_received(b"2\r\n")
    p.connection.data_received(b":1")
    assert p.accepted == [2, 1]
    assert p.connection.outstanding == 2


async def test_a_refusal_breaks_after_what_was_accepted() -> None:
    p = Publishing().attach()
    p.connection.data_received(b":1\r\n-NOPERM not yours\r\n:1\r\n")
    assert p.accepted == [1]
    assert [str(each) for each in p.broken] == ["the server refuses: NOPERM not yours"]
    assert p.transport.aborted
    p.connection.publish("c", b"in the same turn")
    p.connection.data_received(b":1\r\n")
    await turn()
    assert (p.accepted, len(p.broken), p.transport.writes) == ([1], 1, [])
    assert p.connection.ended.done()


@pytest.mark.parametrize(("cause", "text"), [(None, "closed the connection"), (OSError("no route"), "no route")])
async def test_a_break_is_told_with_its_cause(cause: Exception | None, text: str) -> None:
    p = Publishing().attach()
    p.connection.connection_lost(cause)
    assert text in str(p.broken[0])
    assert p.broken[0].__cause__ is cause
    assert p.connection.ended.done()


async def test_whoever_is_abandoned_is_silent() -> None:
    p = Publishing().attach()
    p.connection.publish("c", b"x")
    p.connection.abandon()
    await turn()
    p.connection.data_received(b":1\r\n")
    assert (p.accepted, p.broken, p.transport.writes) == ([], [], [])
    assert p.connection.ended.done()


async def test_abandoned_before_there_is_a_connection() -> None:
    p = Publishing()
    p.connection.abandon()
    assert not p.connection.attached
    p.attach()
    assert p.transport.aborted
    await turn()
    assert p.connection.ended.done()
    assert p.broken == []


async def test_a_connection_that_broke_in_the_instant_after_the_greeting() -> None:
    p = Publishing()
    p.transport.aborted = True
    p.attach()
    assert len(p.broken) == 1
    assert p.connection.ended.done()


async def test_what_one_turn_subscribes_is_one_command() -> None:
    s = await Subscribing().subscribed("gone")
    for number, channel in enumerate(("a", "b", "c")):
        s.connection.subscribe(channel, number)
    s.connection.unsubscribe("gone")
    s.connection.unsubscribe("c")
    await turn()
    assert s.transport.commands() == [[[b"SUBSCRIBE", b"a", b"b"], [b"UNSUBSCRIBE", b"gone"]]]


async def test_in_a_cluster_each_channel_is_a_command_and_all_are_one_write() -> None:
    s = Subscribing(sharded=True)
    for channel in ("a", "b"):
        s.connection.subscribe(channel, 1)
    await turn()
    assert s.transport.commands() == [[[b"SSUBSCRIBE", b"a"], [b"SSUBSCRIBE", b"b"]]]
    s.connection.data_received(reply(b"ssubscribe", b"a", 1) + reply(b"smessage", b"a", b"x"))
    assert s.heard.events == [("confirmed", "a", 1), ("delivered", "a", b"x")]


async def test_many_channels_are_several_commands_of_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CHANNELS", 2)
    s = Subscribing()
    for channel in "abcde":
        s.connection.subscribe(channel, 1)
    await turn()
    (commands,) = s.transport.commands()
    assert [len(command) - 1 for command in commands] == [2, 2, 1]


async def test_messages_come_however_the_bytes_do() -> None:
    s = await Subscribing().subscribed("a", "b")
    payloads = [b"", b"\r\n", bytes(range(256)) * 10]
    stream = b"".join(reply(b"message", channel, payload) for payload in payloads for channel in (b"a", b"b"))
    for start in range(0, len(stream), 7):
        s.connection.data_received(stream[start : start + 7])
    assert s.heard.messages == [(channel, payload) for payload in payloads for channel in ("a", "b")]


async def test_what_is_not_wanted_is_not_heard() -> None:
    s = await Subscribing().subscribed("a")
    s.heard.events.clear()
    s.connection.unsubscribe("a")
    s.connection.data_received(reply(b"message", b"a", b"on its way") + reply(b"message", b"b", b"a stranger's"))
    s.connection.data_received(reply(b"pmessage", b"*", b"a", b"x") + b"+PONG\r\n" + b":1\r\n")
    assert s.heard.events == []
    assert s.broken == []


async def test_renewing_ends_when_each_is_confirmed() -> None:
    s = await Subscribing().subscribed("old")
    renewal = asyncio.ensure_future(s.connection.renew({"a": 1, "b": 2}))
    await turn()
    assert s.transport.commands() == [[[b"SUBSCRIBE", b"a", b"b"], [b"UNSUBSCRIBE", b"old"]]]
    s.connection.data_received(reply(b"subscribe", b"a", 1))
    await turn()
    assert not renewal.done()
    s.connection.unsubscribe("b")  # wanted no longer: nothing to wait for
    await renewal
    assert ("confirmed", "a", 1) in s.heard.events


async def test_renewing_goes_on_while_confirmations_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONFIRM_TIMEOUT", 0.05)
    s = Subscribing()
    renewal = asyncio.ensure_future(s.connection.renew({"a": 1, "b": 2}))
    await turn()
    s.connection.data_received(reply(b"subscribe", b"a", 1))
    with pytest.raises(BrokerUnreachableError, match="confirmed no subscription"):
        await renewal


async def test_nothing_to_renew() -> None:
    await Subscribing().connection.renew({})


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (b"-MOVED 5 h:1\r\n", "refuses: MOVED"),
        (b"HTTP/1.1 400\r\n", "no Redis server"),
        (reply(b"unsubscribe", b"a", 0), "moved to another server"),
    ],
)
async def test_what_breaks_a_subscribing_connection(stream: bytes, why: str) -> None:
    s = await Subscribing().subscribed("a")
    s.connection.data_received(reply(b"message", b"a", b"before") + stream + reply(b"message", b"a", b"after"))
    s.connection.subscribe("b", 1)
    await turn()
    s.connection.data_received(reply(b"message", b"a", b"later"))
    assert s.heard.payloads("a") == [b"before"]
    assert why in str(s.broken[0])
    assert len(s.broken) == 1
    assert s.transport.writes == []


async def test_a_message_of_a_stranger_may_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_INCOMPLETE", 10_000)
    s = await Subscribing().subscribed("a")
    s.connection.data_received(reply(b"message", b"a", b"x" * 20_000))  # complete: no harm done any more
    assert not s.broken
    s.connection.data_received(reply(b"message", b"a", b"x" * 20_000)[:15_000])
    assert "more than 10,000 bytes" in str(s.broken[0])


async def test_who_abandons_while_hearing_hears_no_more() -> None:
    s = await Subscribing().subscribed("a")
    s.heard.on_event = lambda event: s.connection.abandon()
    s.connection.data_received(reply(b"message", b"a", b"1") * 3 + reply(b"subscribe", b"a", 1))
    await turn()
    assert s.heard.payloads("a") == [b"1"]
    assert s.broken == []

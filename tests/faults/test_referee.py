"""The judges are judged: the referee sees each kind of fault, and the proxy does what its methods say."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import LONG, Fault, Member
from tests.support.referee import Loss, Referee
from tests.support.tcp_proxy import BOTH, TcpProxy, Way

MOMENT = 0.1
"""Seconds in which a message has long arrived on this machine; if not, a test sees less than it might."""

# --- the referee ------------------------------------------------------------------------------------------------------


Scene = Callable[[Referee], Awaitable[object]]


async def judged(cluster: FaultCluster, scene: Scene) -> None:
    """Let a scene be watched by a referee."""
    async with Referee(cluster.nodes) as referee:
        await scene(referee)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([["tag", "one", 3, ""]], "of which 2 were sent"),
        ([["tag", "unknown", 1, ""]], "of which 0 were sent"),
        ([["tag", "one", 1, ""], ["tag", "one", 1, ""]], "twice"),
        ([["tag", "one", 2, ""], ["tag", "one", 1, ""]], "disordered"),
    ],
)
async def test_messages_that_must_not_come_are_seen(
    cluster: FaultCluster, messages: list[list[object]], words: str
) -> None:
    async def scene(referee: Referee) -> None:
        referee.sent["tag", "one"] = 2
        for message in messages:
            referee.members[cluster.nodes[0]].hear(message, 0.0)

    with pytest.raises(Fault, match=words):
        await judged(cluster, scene)


async def test_a_member_in_a_foreign_room_is_seen(cluster: FaultCluster) -> None:
    async def scene(referee: Referee) -> None:
        await referee.outsiders[0].call("enter", ["one"])
        await referee.everybody_hears()

    with pytest.raises(Fault, match="in no room"):
        await judged(cluster, scene)


async def test_loss_that_nobody_confessed_is_seen(cluster: FaultCluster) -> None:
    async def scene(referee: Referee) -> None:
        await referee.everybody_hears()
        referee.sent[referee.members[cluster.nodes[0]].tag, "one"] += 1  # which nobody said
        await referee.settled(timeout=0.0)

    with pytest.raises(Fault, match="loss reported is not loss observed"):
        await judged(cluster, scene)


async def test_what_is_left_over_is_seen(cluster: FaultCluster) -> None:
    left: list[Member] = []

    async def scene(referee: Referee) -> None:
        referee.patience = 0.0
        left.append(await Member.join(cluster.nodes[0]))

    with pytest.raises(Fault, match="after all have gone"):
        await judged(cluster, scene)
    await left[0].close()


def test_losses_agree_if_all_of_them_were_reported_by_somebody() -> None:
    assert Loss(missing=5, lost=4, recanted=1, dropped=3, beside=1).agrees
    assert not Loss(missing=5, lost=4, recanted=1, dropped=3, beside=0).agrees


# --- the proxy --------------------------------------------------------------------------------------------------------


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say everything again, in capitals."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(100):
            writer.write(data.upper())
    writer.close()


class Talker:
    """A client that says something and hears what comes back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    def says(self, text: bytes) -> None:
        self.writer.write(text)

    async def hears(self, text: bytes) -> None:
        async with asyncio.timeout(LONG):
            assert await self._reader.readexactly(len(text)) == text

    async def asks(self, text: bytes) -> None:
        self.says(text)
        await self.hears(text.upper())

    async def is_reset(self) -> None:
        try:
            async with asyncio.timeout(LONG):
                assert await self._reader.read(1) == b""
        except ConnectionResetError:
            pass

    async def hears_nothing(self) -> None:
        """For a moment in which it would have heard something."""
        try:
            async with asyncio.timeout(MOMENT):
                said = await self._reader.read(1)
        except TimeoutError:
            return
        pytest.fail(f"heard {said!r}")


class Stage:
    """A proxy before a server that echoes, and who talks to it."""

    def __init__(self, proxy: TcpProxy) -> None:
        self.proxy = proxy
        self._talkers: list[Talker] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls) -> AsyncIterator[Stage]:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        stage = cls(TcpProxy(server.sockets[0].getsockname()[1]))
        await asyncio.to_thread(stage.proxy.start)
        try:
            yield stage
        finally:
            await asyncio.to_thread(stage.proxy.close)
            for talker in stage._talkers:
                talker.writer.close()
            server.close()
            await asyncio.sleep(0)

    async def talker(self) -> Talker:
        talker = Talker(*await asyncio.open_connection("127.0.0.1", self.proxy.port))
        self._talkers.append(talker)
        return talker

    async def heal(self) -> None:
        await asyncio.to_thread(self.proxy.heal)


async def test_it_passes_on_both_ways_and_ends_too() -> None:
    async with Stage.opened() as stage:
        client = await stage.talker()
        await client.asks(b"hello")
        stage.proxy.slow(delay=MOMENT / 10, bytes_per_second=10_000)
        await client.asks(b"slow")
        client.writer.write_eof()
        await client.is_reset()


@pytest.mark.parametrize("ways", [BOTH, {Way.TO_SERVER}, {Way.TO_CLIENT}])
async def test_what_is_swallowed_never_comes_and_healing_resets(ways: set[Way]) -> None:
    async with Stage.opened() as stage:
        marked, other = await stage.talker(), await stage.talker()
        await marked.asks(b"mark")
        stage.proxy.swallow(frozenset(ways), b"mark")
        await other.asks(b"passes")
        marked.says(b"gone")
        await marked.hears_nothing()
        assert stage.proxy.swallowed == 4
        await stage.heal()
        await marked.is_reset()
        await other.asks(b"still")


async def test_what_is_held_comes_later() -> None:
    async with Stage.opened() as stage:
        client = await stage.talker()
        stage.proxy.hold()
        client.says(b"later")
        await client.hears_nothing()
        await stage.heal()
        await client.hears(b"LATER")


async def test_what_is_forgotten_concerns_only_who_is_connected() -> None:
    async with Stage.opened() as stage:
        old = await stage.talker()
        await old.asks(b"x")
        stage.proxy.forget()
        old.says(b"gone")
        await (await stage.talker()).asks(b"new")
        await old.hears_nothing()


async def test_an_answer_is_thrown_away_with_its_connection() -> None:
    async with Stage.opened() as stage:
        client, other = await stage.talker(), await stage.talker()
        stage.proxy.reset_after(b"secret")
        await other.asks(b"other")
        client.says(b"a secret word")
        await client.is_reset()
        assert stage.proxy.resets == 1
        await (await stage.talker()).asks(b"secret")


async def test_it_refuses_until_it_heals() -> None:
    async with Stage.opened() as stage:
        client = await stage.talker()
        await client.asks(b"x")
        await asyncio.to_thread(stage.proxy.refuse)
        await client.is_reset()
        with pytest.raises(ConnectionRefusedError):
            await stage.talker()
        await stage.heal()
        await (await stage.talker()).asks(b"again")

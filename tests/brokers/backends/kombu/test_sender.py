"""The blocking sender with real servers, and with outlets that are told what to do; what holds for every sender is in
tests/contract.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time  # time: measures that a time-out was kept
from collections.abc import Iterator
from pathlib import Path

import pytest

from roomcast_brokers.backends.kombu import KombuSender, sender
from roomcast_brokers.backends.kombu.manners import MANNERS
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import BrokerClosedError, MessageTooLargeError, SendError
from roomcast_brokers.registry import create, create_sender
from tests.brokers.backends.kombu.played_ends import URL, PlayedWorld, lost, played
from tests.brokers.backends.kombu.setups import Taken, setup
from tests.support.opened import opened
from tests.support.rabbitmq_server import RabbitServer
from tests.support.server import python_path
from tests.support.services import RedisServer, free_port


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedWorld]:
    with played(monkeypatch) as each:
        yield each


def test_one_connection_for_all(world: PlayedWorld) -> None:
    one = KombuSender(URL)
    assert world.outlets == [], "none before something is sent"
    one.send([])
    one.send([("a", b"1"), ("b", b"2")])
    one.send([("a", b"3")])
    assert len(world.outlets) == 1
    assert world.outlet.published == [("a", b"1"), ("b", b"2"), ("a", b"3")]
    one.close()
    one.close()
    assert world.outlet.closed is True
    with pytest.raises(BrokerClosedError):
        one.send([])


def test_what_may_not_be_sent(world: PlayedWorld) -> None:
    one = KombuSender(URL)
    with pytest.raises(MessageTooLargeError):
        one.send([("a", b"x"), ("a", b"x" * (MAX_MESSAGE_BYTES + 1))])
    assert world.outlets == []


def test_large_amounts_go_in_batches(world: PlayedWorld) -> None:
    one = KombuSender(URL)
    one.send([("a", b"x")] * 2_500)
    one.send([("a", b"x" * 600_000)] * 3)
    assert [each for each in world.outlet.log if isinstance(each, int)] == [1_000, 1_000, 500, 1, 1, 1]


def test_as_far_as_it_came(world: PlayedWorld) -> None:
    one = KombuSender(URL, timeout=0.05)
    one.send([])
    world.accepts = False
    world.outlet.accept(2)
    with pytest.raises(
        SendError, match=r"took 0 of 3 messages: within 0\.05 s: it has not accepted everything"
    ) as caught:
        one.send([("a", b"x")] * 3)
    assert caught.value.accepted == 0, "what was accepted before was of somebody else's"
    assert world.outlet.closed is False
    one.send([])
    world.outlet.obstruct("short of memory")
    with pytest.raises(SendError, match="short of memory"):
        one.send([("a", b"x")])


def test_some_are_accepted_and_then_it_breaks(world: PlayedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "MOST_WRITTEN", 2)
    one = KombuSender(URL)
    one.send([])
    world.outlet.failures["publish"] = lost()
    with pytest.raises(SendError) as caught:
        one.send([("a", b"x")] * 3)
    assert caught.value.accepted == 0
    assert caught.value.__cause__ is world.outlet.failures["publish"]
    one.send([("a", b"again")])
    assert world.outlet.published == [("a", b"again")]


def test_a_connection_that_ended_meanwhile_is_noticed_before_anything_is_written(world: PlayedWorld) -> None:
    one = KombuSender(URL)
    one.send([("a", b"1")])
    first = world.outlet
    first.fail("cut off")
    one.send([("a", b"2")])
    assert first.closed is False
    assert world.outlet.published == [("a", b"2")]


def test_nobody_there(world: PlayedWorld) -> None:
    one = KombuSender(URL)
    world.away = lost("nobody there")
    for _ in range(2):
        with pytest.raises(SendError, match="took 0 of 2 messages: nobody there"):
            one.send([("a", b"x")] * 2)
    assert [outlet.closed for outlet in world.outlets] == [False, False]
    world.away = None
    one.send([("a", b"x")])


def test_interrupted(world: PlayedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the broker still says of it is nobody's."""

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    one = KombuSender(URL)
    one.send([])
    world.accepts = False
    monkeypatch.setattr(world.outlet, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        one.send([("a", b"x")])
    assert world.outlet.closed is False


def test_forgotten(world: PlayedWorld) -> None:
    one = KombuSender(URL)
    one.forget()
    one.send([])
    one.forget()
    assert world.outlet.log[-1] == "forget"
    one.send([])
    assert len(world.outlets) == 2


# --- with real servers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_nobody_listens_there(scheme: str) -> None:
    one = KombuSender(f"kombu+{scheme}://me:hidden@127.0.0.1:{free_port()}")
    with pytest.raises(SendError, match="took 0 of 1 messages: the broker cannot be reached") as caught:
        one.send([("a", b"x")])
    assert "hidden" not in str(caught.value)


def test_a_wrong_password(rabbit: RabbitServer) -> None:
    one = KombuSender(f"kombu+{rabbit.url.replace('guest:guest', 'guest:hidden')}")
    with pytest.raises(SendError, match="ACCESS_REFUSED") as caught:
        one.send([("a", b"x")])
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("schemes", [("kombu+amqp", "amqp"), ("amqp", "kombu+amqp")])
async def test_on_rabbitmq_it_makes_no_difference_who_uses_kombu(
    schemes: tuple[str, str], rabbit: RabbitServer
) -> None:
    """A worker that has its broker by kombu writes to nodes that have theirs by aio-pika, and the other way round."""
    writes, reads = (rabbit.url.replace("amqp", scheme, 1) for scheme in schemes)
    async with opened(create(reads)) as each:
        await each.hear_of("a", "c" * 300)
        one = create_sender(writes)
        messages = [("a", b"1"), ("c" * 300, bytes(range(256)) * 1_000), ("a", b"")]
        await asyncio.to_thread(one.send, messages)
        await each.wait(lambda heard: len(heard.messages) == 3)
        assert each.heard.messages == messages
        await asyncio.to_thread(one.close)


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_it_has_no_heartbeats_and_its_connection_is_kept(scheme: str, rabbit: RabbitServer, redis: RedisServer) -> None:
    server = rabbit if scheme == "amqp" else redis
    one = KombuSender(f"kombu+{server.url}?heartbeat=1" if scheme == "amqp" else f"kombu+{server.url}")
    one.send([("a", b"x")])
    outlet = one._outlet
    one.send([("a", b"x")] * 100)
    assert one._outlet is outlet
    if scheme == "amqp":
        assert outlet is not None
        assert outlet._link.raw.heartbeat == 0  # type: ignore[attr-defined]  # of this outlet
    one.close()


def test_a_server_that_stands_still(own_redis: RedisServer) -> None:
    brief = {"transport_options": {"socket_timeout": 0.3, "socket_connect_timeout": 0.3}}
    one = KombuSender(f"kombu+{own_redis.url}", connection_options=brief)
    one.send([("a", b"x")])
    own_redis.suspend()
    began = time.monotonic()
    with pytest.raises(SendError, match="Timeout"):
        one.send([("a", b"x")])
    assert time.monotonic() - began < 5.0
    own_redis.resume()
    one.send([("a", b"x")])
    one.close()


FORK = """
import os, sys
from roomcast_brokers.backends.kombu import KombuSender

sender = KombuSender(sys.argv[1])
sender.send([("c", b"parent")])
child = os.fork()
if not child:
    sender.forget()
    sender.send([("c", b"child")])
    sender.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
outlet = sender._outlet
sender.send([("c", b"parent again")])
assert sender._outlet is outlet
print("done")
"""

GREENLETS = """
import {library}
{patch}
import sys, time
from roomcast_brokers.backends.kombu import KombuSender

ticks = []
def tick():
    for _ in range(20):
        ticks.append(1)
        time.sleep(0.01)

ticking = {spawn}(tick)
sender = KombuSender(sys.argv[1])
for number in range(100):
    sender.send([("c", b"%d" % number)])
ticking.{join}()
sender.close()
import threading
assert threading.active_count() == 1, "no thread of its own"
print("done", len(ticks))
"""


def heard(rabbit: RabbitServer, redis: RedisServer, scheme: str) -> tuple[str, Taken]:
    """Where to send to, and who hears it on channel c."""
    url = f"kombu+{(rabbit if scheme == 'amqp' else redis).url}"
    intake = MANNERS[scheme].intake(setup(url))
    intake.connect()
    taken = Taken(intake)
    intake.change([("c", 1)], [])
    taken.until_confirmed(1)
    return url, taken


def run(script: Path, source: str, url: str) -> str:
    script.write_text(source)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), url],
        env={"PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
def test_a_fork_leaves_the_parents_connection_alone(
    scheme: str, rabbit: RabbitServer, redis: RedisServer, tmp_path: Path
) -> None:
    url, taken = heard(rabbit, redis, scheme)
    assert run(tmp_path / "fork.py", FORK, url) == "done\n"
    assert [payload for _, payload in taken.until_messages(3)] == [b"parent", b"child", b"parent again"]
    taken.intake.close(farewell=True)


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
@pytest.mark.parametrize(
    ("library", "patch", "spawn", "join"),
    [
        ("gevent.monkey", "gevent.monkey.patch_all()", "gevent.spawn", "join"),
        ("eventlet", "eventlet.monkey_patch()", "eventlet.spawn", "wait"),
    ],
)
def test_where_sockets_are_cooperative(
    scheme: str,
    library: str,
    patch: str,
    spawn: str,
    join: str,
    rabbit: RabbitServer,
    redis: RedisServer,
    tmp_path: Path,
) -> None:
    url, taken = heard(rabbit, redis, scheme)
    source = GREENLETS.format(library=library, patch=patch, spawn=spawn, join=join)
    assert run(tmp_path / "greenlets.py", source, url) == "done 20\n"
    assert [payload for _, payload in taken.until_messages(100)] == [b"%d" % number for number in range(100)]
    taken.intake.close(farewell=True)

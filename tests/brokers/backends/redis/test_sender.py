"""The blocking sender with real servers and with stubborn ones; what holds for every sender is in tests/contract."""

from __future__ import annotations

import subprocess
import sys
import time  # time: measures that a time-out was kept
from pathlib import Path
from typing import Any

import pytest

from roomcast_brokers.backends.redis import RedisSender, sender
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import BrokerClosedError, BrokerURLError, MessageTooLargeError, SendError
from tests.support.redis_groups import Cluster, Sentinels
from tests.support.server import python_path
from tests.support.services import RedisServer, free_port, wait_for
from tests.support.stubborn_servers import answering

CHANNELS = [f"test:{number}" for number in range(30)]


class Subscriber:
    """redis-py's own subscriber."""

    def __init__(self, server: RedisServer, *channels: str) -> None:
        self._server = server
        self._channels = channels
        self._messages: list[tuple[str, str]] = []

    def __enter__(self) -> Subscriber:
        self._client = self._server.client()
        self._subscription: Any = self._client.__enter__().pubsub()
        self._subscription.subscribe(*self._channels)
        for _ in self._channels:
            assert self._subscription.get_message(timeout=5)["type"] == "subscribe"
        return self

    def __exit__(self, *_: object) -> None:
        self._subscription.close()
        self._client.__exit__(None, None, None)

    def heard(self) -> list[tuple[str, str]]:
        """(channel, data) of all messages so far."""
        while (message := self._subscription.get_message(timeout=0)) is not None:
            self._messages.append((message["channel"], message["data"]))
        return self._messages

    def received(self, count: int) -> list[tuple[str, str]]:
        wait_for(lambda: len(self.heard()) >= count, "messages")
        return self._messages


def clients(server: RedisServer) -> list[str]:
    return [client["id"] for client in server.clients("normal")]


@pytest.mark.parametrize("door", ["network", "unix", "tls"])
def test_sent_through_every_door(door: str, shared: RedisServer, secret: RedisServer) -> None:
    server = secret if door == "tls" else shared
    one = RedisSender(server.unix_url if door == "unix" else server.url)
    with Subscriber(server, "a", "b") as subscriber:
        one.send([("a", b"1"), ("b", b"2"), ("nobody's", b""), ("a", b"3")])
        one.send([])
        one.send([("b", b"4")])
        assert subscriber.received(4) == [("a", "1"), ("b", "2"), ("a", "3"), ("b", "4")]
    one.close()


def test_one_connection_for_all(own: RedisServer) -> None:
    one = RedisSender(
        own.url, redis_options={"client_name": "worker", "decode_responses": True, "protocol": 3, "db": 5}
    )
    assert clients(own) == [], "none before something is sent"
    one.send([("c", b"x")])
    before = clients(own)
    one.send([("c", b"x")] * 100)
    assert clients(own) == before
    assert len(before) == 1
    assert own.clients("normal")[0]["name"] == "worker"
    one.close()
    one.close()
    wait_for(lambda: not clients(own), "the end of the connection")
    with pytest.raises(BrokerClosedError):
        one.send([("c", b"x")])


def test_what_may_not_be_sent(own: RedisServer) -> None:
    with pytest.raises(BrokerURLError):
        RedisSender("redis://h1,h2")
    one = RedisSender(own.url)
    with pytest.raises(MessageTooLargeError):
        one.send([("c", b"x"), ("c", b"x" * (MAX_MESSAGE_BYTES + 1))])
    assert clients(own) == []
    one.close()


def test_a_connection_that_was_cut_is_noticed_before_anything_is_written(own: RedisServer) -> None:
    one = RedisSender(own.url)
    for _ in range(3):
        one.send([("c", b"x")])
        assert own.client_kill("normal") == 1
        own.command("PING")
    own.restart()
    one.send([("c", b"x")])
    one.close()


def test_nobody_there() -> None:
    one = RedisSender(f"redis://:hidden@127.0.0.1:{free_port()}")
    for _ in range(2):
        with pytest.raises(SendError, match="took 0 of 2 messages: ConnectionError") as caught:
            one.send([("c", b"x")] * 2)
        assert caught.value.accepted == 0
        assert "hidden" not in str(caught.value)


def test_a_wrong_password(secret: RedisServer) -> None:
    one = RedisSender(f"{secret.url.replace('p%40ss', 'hidden')}")
    with pytest.raises(SendError, match="AuthenticationError") as caught:
        one.send([("c", b"x")])
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("script", "close", "why"),
    [
        (b":1\r\n:0\r\n:1\r\n", True, "Connection"),
        (b":1\r\n:0\r\n:1\r\n", False, "Timeout"),
        (b":1\r\n:0\r\n:1\r\n-NOPERM not yours\r\n:1\r\n", False, "NoPermission"),
    ],
)
def test_as_far_as_it_came(script: bytes, close: bool, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was answered is accepted, and the answers that are still to come are nobody's."""
    monkeypatch.setattr(sender, "entrance", lambda access: {"protocol": 2, "driver_info": None})  # greets with nothing
    with answering(script, b":1\r\n") as port, answering(script, b":1\r\n", close=True) as closing:
        one = RedisSender(f"redis://127.0.0.1:{closing if close else port}", timeout=0.3)
        with pytest.raises(SendError, match=why) as caught:
            one.send([("c", b"x")] * 5)
        assert caught.value.accepted == 3
        assert caught.value.__cause__ is not None
        one.send([("c", b"again")])
        one.close()


def test_a_server_that_says_nothing() -> None:
    with answering(b"") as port:
        one = RedisSender(f"redis://127.0.0.1:{port}", timeout=0.3)
        start = time.monotonic()
        with pytest.raises(SendError):
            one.send([("c", b"x")])
        assert time.monotonic() - start < 3
        one.close()


def test_no_step_begins_after_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.0, 0.0, 1.0, 4.0, 5.1])
    monkeypatch.setattr(sender, "monotonic", lambda: next(times))
    monkeypatch.setattr(sender, "entrance", lambda access: {"protocol": 2, "driver_info": None})
    with answering(b":1\r\n" * 10) as port:
        one = RedisSender(f"redis://127.0.0.1:{port}")
        with pytest.raises(SendError, match="the time for it is over") as caught:
            one.send([("c", b"x")] * 10)
        assert caught.value.accepted == 2
        one.close()


FORK = """
import os, sys
from roomcast_brokers.backends.redis import RedisSender

sender = RedisSender(sys.argv[1])
sender.send([("c", b"parent")])
child = os.fork()
if not child:
    sender.forget()
    sender.send([("c", b"child")])
    sender.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
sender.send([("c", b"parent again")])
print("done")
"""


def test_a_fork_leaves_the_parents_connection_alone(own: RedisServer, tmp_path: Path) -> None:
    script = tmp_path / "fork.py"
    script.write_text(FORK)
    with Subscriber(own, "c") as subscriber:
        ran = subprocess.run(
            [sys.executable, str(script), own.url],
            env={"PYTHONPATH": python_path()},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (ran.stdout, ran.stderr) == ("done\n", "")
        assert [data for _, data in subscriber.received(3)] == ["parent", "child", "parent again"]
    # The parent's second message went through its first connection: the server has seen one for each process.
    connected = own.command("INFO", "commandstats")["cmdstat_client|setname"]["calls"]
    assert connected == 2


@pytest.mark.long
def test_the_master_that_sentinels_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "ASK_AGAIN", 0.0)
    with Sentinels(password="secret") as group:
        one = RedisSender(group.url)
        one.send([("c", b"x")])
        old = group.master
        group.sentinels[0].command("SENTINEL", "FAILOVER", group.service)
        wait_for(lambda: group.master is not old, "a new master")
        with Subscriber(group.master, "c") as subscriber:
            wait_for(lambda: sent(one, "c") and subscriber.heard(), "that it goes to the new master")
        one.close()


@pytest.mark.long
def test_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    with Cluster(password="secret") as cluster:
        one = RedisSender(cluster.url)
        one.send([(channel, b"%d" % number) for number, channel in enumerate(CHANNELS)])
        counts = [server.command("INFO", "commandstats")["cmdstat_spublish"]["calls"] for server in cluster.servers]
        assert sum(counts) == len(CHANNELS)
        assert all(counts)
        moving = CHANNELS[0]
        cluster.move(moving, next(server for server in cluster.servers if server is not cluster.owner(moving)))
        with pytest.raises(SendError, match="Moved") as caught:
            one.send([(CHANNELS[1], b"x"), (moving, b"x"), (CHANNELS[2], b"x")])
        assert caught.value.accepted == 1
        wait_for(lambda: sent(one, moving), "the new owner")
        one.close()


def sent(one: RedisSender, channel: str) -> bool:
    """Whether it was sent: some servers hear of a change later."""
    try:
        one.send([(channel, b"x")])
    except SendError:
        return False
    return True

"""kombu's Redis: topics and nothing else; what is subscribed is confirmed by Redis; what is no message is dropped."""

from __future__ import annotations

import json
import time  # time: nothing may wait for long
from contextlib import AbstractContextManager
from typing import Any

import pytest

from roomcast_brokers.backends.kombu import topics
from roomcast_brokers.backends.kombu.topics import TopicIntake, TopicOutlet
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.kombu.setups import Taken, all_accepted, giving_out, setup, taking_in
from tests.support.services import RedisServer, wait_for

TOPIC = "/0.roomcast"


def taking(server: RedisServer, **options: Any) -> AbstractContextManager[Taken]:
    return taking_in(TopicIntake(setup(server.url, **options)))


def publishing(server: RedisServer, **options: Any) -> AbstractContextManager[TopicOutlet]:
    return giving_out(TopicOutlet(setup(server.url, **options)))


def test_published_and_taken_and_nothing_left_in_redis(redis: RedisServer) -> None:
    channels = [(f"channel {number}", number) for number in range(2_500)]
    with taking(redis) as taken, publishing(redis) as outlet:
        taken.intake.change([*channels, ("[a-z]*?", 7)], [])
        assert taken.until_confirmed(2_501) == [*channels, ("[a-z]*?", 7)]
        messages = [("channel 7", b"1"), ("channel 8", b""), ("nobody's", b"x"), ("channel 7", bytes(range(256)) * 999)]
        outlet.publish([*messages, ("[a-z]*?", b"literally"), ("abc", b"no pattern")])
        all_accepted(outlet, 6)
        assert outlet.obstacle() is None
        heard = [each for each in messages if each[0] != "nobody's"]
        assert taken.until_messages(4) == [*heard, ("[a-z]*?", b"literally")]
        taken.intake.check()
        outlet.check()
        outlet.wait(0)
        assert redis.command("KEYS", "*") == []


def test_changes_of_mind(redis: RedisServer) -> None:
    """A confirmation belongs to the wish that it answers."""
    with taking(redis) as taken, publishing(redis) as outlet:
        taken.intake.change([("a", 1), ("b", 1)], [])
        taken.intake.change([("a", 2)], ["b", "never subscribed"])
        taken.intake.change([("b", 3)], [])
        assert taken.until_confirmed(4) == [("a", 1), ("b", 1), ("a", 2), ("b", 3)]
        taken.intake.change([], ["a"])
        outlet.publish([("a", b"on its way"), ("b", b"x")])
        assert taken.until_messages(1) == [("b", b"x")]
        taken.intake.change([("c", 1)], [])
        taken.intake.change([], ["c"])
        taken.intake.change([("d", 4)], [])
        assert taken.until_confirmed(5)[4:] == [("d", 4)], "c was left before it was confirmed"


def test_what_nobody_asked_for_is_dropped(redis: RedisServer) -> None:
    with taking(redis) as taken, publishing(redis) as outlet:
        intake: Any = taken.intake
        intake._pubsub.subscribe(f"{TOPIC}/b")
        taken.intake.change([("a", 1)], [])
        taken.intake.change([("a", 2)], [])
        assert taken.until_confirmed(2) == [("a", 1), ("a", 2)]
        outlet.publish([("b", b"unheard"), ("a", b"heard")])
        assert taken.until_messages(1) == [("a", b"heard")]


@pytest.mark.parametrize("prefix", ["", "team:"])
@pytest.mark.parametrize("database", [0, 5])
def test_databases_and_prefixes(redis: RedisServer, prefix: str, database: int) -> None:
    options = {"connection_options": {"transport_options": {"global_keyprefix": prefix}}}
    url = redis.url[:-1] + str(database)
    intake, outlet = TopicIntake(setup(url, **options)), TopicOutlet(setup(url, **options))
    intake.connect()
    outlet.connect()
    taken = Taken(intake)
    intake.change([("a", 1)], [])
    taken.until_confirmed(1)
    assert f"{prefix}/{database}.roomcast/a" in redis.command("PUBSUB", "CHANNELS", f"*/{database}.roomcast/*")
    outlet.publish([("a", b"x")])
    assert taken.until_messages(1) == [("a", b"x")]
    intake.check()
    intake.close(farewell=True)
    outlet.close(farewell=True)


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "not JSON",
        "[]",
        "7",
        "{}",
        '{"body": "eA==", "properties": {"body_encoding": "base64"}}',
        '{"body": "x", "properties": {"body_encoding": "base64", "delivery_tag": "1"}}',
        '{"body": "eA==", "properties": {"body_encoding": "base65", "delivery_tag": "1"}}',
        '{"body": {"a": 1}, "properties": {"body_encoding": null, "delivery_tag": "1"}}',
        "[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_message_is_dropped_and_counted(redis: RedisServer, garbage: str) -> None:
    with taking(redis) as taken, publishing(redis) as outlet:
        taken.intake.change([("a", 1)], [])
        taken.until_confirmed(1)
        redis.command("PUBLISH", f"{TOPIC}/a", garbage)
        outlet.publish([("a", b"after it")])
        assert taken.until_messages(1) == [("a", b"after it")]
        assert taken.intake.malformed == 1


def test_compressed_where_both_sides_are(redis: RedisServer) -> None:
    zipped = {"producer_options": {"compression": "zlib"}}
    with taking(redis, **zipped) as taken, taking(redis) as plain, publishing(redis, **zipped) as outlet:
        for each in (taken, plain):
            each.intake.change([("zipped", 1)], [])
            each.until_confirmed(1)
        outlet.publish([("zipped", b"x" * 1_000)])
        assert taken.until_messages(1) == [("zipped", b"x" * 1_000)]
        assert len(plain.until_messages(1)[0][1]) < 100, "nobody can make it blow them up"
        bomb = json.dumps(
            {"body": "eA==", "headers": {"compression": "zlib"}}
            | {"properties": {"body_encoding": "base64", "delivery_tag": "1"}}
        )
        redis.command("PUBLISH", f"{TOPIC}/zipped", bomb)
        taken.until(lambda: taken.intake.malformed, "what cannot be read")


def test_a_lot_at_once_is_taken_in_turns(redis: RedisServer) -> None:
    with taking(redis) as taken, publishing(redis) as outlet:
        taken.intake.change([("a", 1)], [])
        taken.until_confirmed(1)
        outlet.publish([("a", b"%d" % number) for number in range(1_000)])
        wait_for(taken.take, "that one look is not enough")
        assert [int(payload) for _, payload in taken.until_messages(1_000)] == list(range(1_000))


def test_where_kombu_has_no_pipelines(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("kombu.messaging.Producer.batch")
    with taking(redis) as taken, publishing(redis) as outlet:
        taken.intake.change([("a", 1)], [])
        taken.until_confirmed(1)
        outlet.publish([("a", b"1"), ("a", b"2")])
        all_accepted(outlet, 2)
        assert taken.until_messages(2) == [("a", b"1"), ("a", b"2")]


def test_redis_py_without_push_messages(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has none, there is nothing to be spared."""
    monkeypatch.delattr("redis._parsers.base.PushNotificationsParser.set_pubsub_push_handler")
    with taking(redis) as taken, publishing(redis) as outlet:
        taken.intake.change([("a", 1)], [])
        taken.until_confirmed(1)
        outlet.publish([("a", b"1")])
        assert taken.until_messages(1) == [("a", b"1")]


def test_connections_that_are_cut(own_redis: RedisServer) -> None:
    with taking(own_redis) as taken, publishing(own_redis) as outlet:
        taken.intake.change([("a", 1)], [])
        taken.until_confirmed(1)
        own_redis.client_kill("pubsub")
        with pytest.raises(BrokerUnreachableError, match="ConnectionError"):
            wait_for(taken.take, "the end of the connection")
        own_redis.kill()
        with pytest.raises(BrokerUnreachableError, match="ConnectionError"):
            outlet.publish([("a", b"x")])
        for end in (TopicIntake(setup(own_redis.url)), TopicOutlet(setup(own_redis.url))):
            with pytest.raises(BrokerUnreachableError, match="ConnectionError"):
                end.connect()
            end.close(farewell=False)


def test_a_connection_that_redis_py_has_replaced(redis: RedisServer) -> None:
    with taking(redis) as taken:
        intake: Any = taken.intake
        intake._pubsub.connection.disconnect()
        intake._pubsub.connection.connect()
        with pytest.raises(BrokerUnreachableError, match="another connection"):
            taken.intake.check()


def test_a_server_that_stands_still(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked, and its silence noticed; while it answers, it is not suspected."""
    monkeypatch.setattr(topics, "STALL", 0.3)
    brief = {"connection_options": {"transport_options": {"socket_timeout": 0.3}}}
    with taking(own_redis) as taken, publishing(own_redis, **brief) as outlet:
        taken.intake.change([("a", 1)], [])
        taken.until_confirmed(1)

        def check() -> bool:
            taken.take()
            taken.intake.check()
            return False

        until = time.monotonic() + 1.2  # asked after a second of silence
        wait_for(lambda: check() or time.monotonic() > until, "1.2 seconds")
        own_redis.suspend()
        with pytest.raises(BrokerUnreachableError, match="has not answered"):
            wait_for(check, "that nothing is answered")
        for call in (outlet.check, lambda: outlet.publish([("a", b"x")])):
            with pytest.raises(BrokerUnreachableError, match="Timeout"):
                call()
        own_redis.resume()


def test_forgotten(redis: RedisServer) -> None:
    outlet = TopicOutlet(setup(redis.url))
    outlet.connect()
    before = redis.command("INFO", "commandstats")
    outlet.forget()
    after = redis.command("INFO", "commandstats")
    assert {name for name in after if name not in before} <= {"cmdstat_info"}, "it said nothing"

"""What may stand in an amqp URL."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast_brokers.backends.aiopika.location import (
    DEFAULT_DURABLE_HEARTBEAT,
    DEFAULT_DURABLE_QUEUE_BYTES,
    DEFAULT_HEARTBEAT,
    DEFAULT_QUEUE_BYTES,
    DEFAULT_RETENTION,
    DEFAULT_TIMEOUT,
    Tls,
    parse,
)
from roomcast_brokers.errors import BrokerURLError


def test_what_holds_where_nothing_is_said() -> None:
    location = parse("amqp://")
    assert (location.host, location.port, location.vhost) == ("localhost", 5672, "/")
    assert (location.user, location.password, location.external, location.tls) == ("guest", "guest", False, None)
    assert (location.heartbeat, location.timeout, location.name) == (DEFAULT_HEARTBEAT, DEFAULT_TIMEOUT, "roomcast")
    assert (location.exchange, location.durable, location.node) == ("roomcast", False, "")
    assert location.queue_bytes == DEFAULT_QUEUE_BYTES


def test_what_holds_in_the_durable_mode() -> None:
    location = parse("amqp://h?durable=true")
    assert (location.exchange, location.durable, location.retention) == ("roomcast.durable", True, DEFAULT_RETENTION)
    assert (location.heartbeat, location.queue_bytes) == (DEFAULT_DURABLE_HEARTBEAT, DEFAULT_DURABLE_QUEUE_BYTES)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("amqp://guest:guest@localhost:5672//", ("localhost", 5672, "/", "guest", "guest")),
        ("amqp://h/", ("h", 5672, "/", "guest", "guest")),
        ("amqp://h/%2F", ("h", 5672, "/", "guest", "guest")),
        ("amqp://h/a%2Fb", ("h", 5672, "a/b", "guest", "guest")),
        ("AMQP://me@H:1", ("h", 1, "/", "me", "guest")),
        ("amqps://me:p%40ss%2F%3A@h/v", ("h", 5671, "v", "me", "p@ss/:")),
        ("amqp://me:@[::1]:7", ("::1", 7, "/", "me", "")),
    ],
)
def test_places(url: str, place: tuple[Any, ...]) -> None:
    location = parse(url)
    assert (location.host, location.port, location.vhost, location.user, location.password) == place


def test_options_of_aio_pika() -> None:
    url = "amqp://h?heartbeat=7&timeout=1.5&name=chat&auth=EXTERNAL&reconnect_interval=5&fail_fast=1"
    location = parse(url)
    assert (location.heartbeat, location.timeout, location.name, location.external) == (7, 1.5, "chat", True)
    assert parse("amqp://h?heartbeat=0&auth=plain").heartbeat == 0


def test_options_of_tls() -> None:
    assert parse("amqps://h").tls == Tls()
    url = "amqps://h?cafile=/a&capath=/b&cadata=eA==&certfile=/c&keyfile=/d&no_verify_ssl=1"
    tls = Tls(cafile="/a", capath="/b", cadata=b"x", certfile="/c", keyfile="/d", verify=False)
    assert parse(url).tls == tls
    assert parse("amqps://h?no_verify_ssl=0").tls == Tls()


def test_what_the_url_says_counts_more_than_an_option() -> None:
    options = {
        "durable": True,
        "node": "a",
        "retention": 7,
        "exchange": "chat",
        "heartbeat": 3,
        "queue_bytes": None,
    }
    location = parse("amqp://h?node=b&exchange=talk", options)
    assert (location.durable, location.node, location.retention) == (True, "b", 7.0)
    assert (location.exchange, location.heartbeat) == ("talk.durable", 3)
    assert parse("amqp://h?queue_bytes=2000000", {"queue_bytes": 3_000_000}).queue_bytes == 2_000_000
    assert parse("amqp://h", {"queue_bytes": 3_000_000}).queue_bytes == 3_000_000


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://h", "amqp://user:password@host"),
        ("amqp://h:99999", "amqp://user:password@host"),
        ("amqp://h:0", "amqp://user:password@host"),
        ("amqp://[h", "amqp://user:password@host"),
        ("amqp://h#x", "amqp://user:password@host"),
        ("amqp://h?hearbeat=1", "did you mean heartbeat"),
        ("amqp://h?colour=red", "no option colour for amqp; there is auth, "),
        ("amqp://h?s3cret!=1", "no such option"),
        ("amqp://h?heartbeat=1&heartbeat=2", "twice"),
        ("amqp://h?heartbeat=-1", "heartbeat of an amqp URL is whole seconds"),
        ("amqp://h?heartbeat=1.5", "whole seconds"),
        ("amqp://h?timeout=soon", "timeout of an amqp URL is seconds"),
        ("amqp://h?timeout=nan", "timeout of an amqp URL is seconds"),
        ("amqp://h?auth=kerberos", "plain or external"),
        ("amqp://h?durable=perhaps", "true or false"),
        ("amqp://h?durable=1&node=", "node of an amqp URL is 1 to 100"),
        ("amqp://h?durable=1&node=a%20b", "node of an amqp URL is 1 to 100"),
        ("amqp://h?exchange=amq.direct", "begins not with amq"),
        ("amqp://h?name=%0A", "printable"),
        ("amqp://h?queue_bytes=5", "1048576"),
        ("amqp://h?node=a", "durable=true"),
        ("amqp://h?retention=5", "durable=true"),
        ("amqp://h?durable=1&retention=0", "from 1 to a month"),
        ("amqp://h?cafile=/a", "amqps"),
        ("amqps://h?cadata=%21", "base64"),
    ],
)
def test_what_is_wrong_is_told_and_not_quoted(url: str, hint: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        parse(url.replace("h", "me:s3cret@h", 1) if url.startswith(("amqp://h", "amqps://h")) else url)
    assert hint in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_option_of_the_wrong_type() -> None:
    with pytest.raises(BrokerURLError, match="option node"):
        parse("amqp://h?durable=1", {"node": 7})
    with pytest.raises(BrokerURLError, match="no option colour"):
        parse("amqp://h", {"colour": 7})


def test_it_is_printed_without_a_password() -> None:
    assert repr(parse("amqp://me:s3cret@h:7/v")) == "Location(host='h', port=7, vhost='v')"

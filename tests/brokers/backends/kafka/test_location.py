from __future__ import annotations

import ssl
from typing import Any

import pytest

from roomcast_brokers.backends.kafka.location import CLIENT_OPTIONS, OWN_OPTIONS, Creation, Location, parse
from roomcast_brokers.errors import BrokerURLError

PLAIN = {"client_id": "roomcast", "security_protocol": "PLAINTEXT"}
SASL = {
    "client_id": "roomcast",
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "PLAIN",
    "sasl_plain_username": "user",
    "sasl_plain_password": "p@ss/w",
}


@pytest.mark.parametrize(
    ("url", "servers", "topic"),
    [
        ("kafka://h", ("h:9092",), None),
        ("kafka://h/", ("h:9092",), None),
        ("KAFKA://h:1/shop", ("h:1",), "shop"),
        ("kafka://a:1,b,c:3/shop/", ("a:1", "b:9092", "c:3"), "shop"),
        ("kafka://[::1]:7,[::2]/s.h-o_p", ("[::1]:7", "[::2]:9092"), "s.h-o_p"),
        ("kafka://h?topic=shop", ("h:9092",), "shop"),
        ("kafka://h/path?topic=query", ("h:9092",), "path"),
    ],
)
def test_servers_and_topic(url: str, servers: tuple[str, ...], topic: str | None) -> None:
    assert parse(url) == Location(servers=servers, topic=topic, client=PLAIN)


def test_our_own_options() -> None:
    query = "linger_ms=2.5&acks=1&create=no&partitions=3&replication=2&retention_minutes=5"
    location = Location(
        servers=("h:9092",),
        client=PLAIN,
        linger_ms=2.5,
        acks=1,
        creation=Creation(allowed=False, partitions=3, replication=2, retention_minutes=5),
    )
    assert parse(f"kafka://h?{query}") == location
    options = {
        "linger_ms": 2.5,
        "acks": 1,
        "create": False,
        "partitions": 3,
        "replication": 2,
        "retention_minutes": 5,
        "topic": None,
    }
    assert parse("kafka://h", options=options) == location
    assert parse("kafka://h?linger_ms=2.5", options=options | {"linger_ms": 7}) == location
    assert parse("kafka://h?acks=all").acks == parse("kafka://h?acks=-1").acks == parse("kafka://h").acks == "all"


@pytest.mark.parametrize(
    ("url", "options", "client"),
    [
        ("kafka://user:p%40ss%2Fw@h", {}, SASL),
        ("kafka://h", {"sasl_plain_username": "user", "sasl_plain_password": "p@ss/w"}, SASL),
        ("kafka://user:p%40ss%2Fw@h", {"sasl_plain_password": "another"}, SASL),
        (
            "kafka://user:p%40ss%2Fw@h?sasl_mechanism=SCRAM-SHA-256",
            {"sasl_mechanism": "PLAIN"},
            {**SASL, "sasl_mechanism": "SCRAM-SHA-256"},
        ),
        (
            "kafka://h?ssl_cafile=/ca.pem&ssl_check_hostname=false",
            {},
            {**PLAIN, "security_protocol": "SSL", "ssl_cafile": "/ca.pem", "ssl_check_hostname": False},
        ),
        ("kafka://h?security_protocol=ssl", {}, {**PLAIN, "security_protocol": "SSL"}),
        (
            "kafka://user:p%40ss%2Fw@h?ssl_cafile=/ca.pem",
            {},
            {**SASL, "security_protocol": "SASL_SSL", "ssl_cafile": "/ca.pem"},
        ),
        (
            "kafka://h?sasl_mechanism=GSSAPI&sasl_kerberos_service_name=k",
            {"client_id": "me"},
            {
                "client_id": "me",
                "security_protocol": "SASL_PLAINTEXT",
                "sasl_mechanism": "GSSAPI",
                "sasl_kerberos_service_name": "k",
            },
        ),
    ],
)
def test_how_one_gets_in(url: str, options: dict[str, Any], client: dict[str, Any]) -> None:
    assert parse(url, options).client == client


def test_objects_are_passed_on() -> None:
    context, provider = ssl.create_default_context(), object()
    found = parse("kafka://h", {"ssl_context": context}).client
    assert found["ssl_context"] is context
    assert found["security_protocol"] == "SSL"
    login = {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": provider}
    assert parse("kafka://h", login).client["sasl_oauth_token_provider"] is provider


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("redis://h", "kafka://host:port"),
        ("kafka:h", "kafka://host:port"),
        ("kafka://[::1", "kafka://host:port"),
        ("kafka://", "host:port"),
        ("kafka:///topic", "host:port"),
        ("kafka://h:x", "host:port"),
        ("kafka://h:99999", "host:port"),
        ("kafka://a,,b", "host:port"),
        ("kafka://u:se/cret@h", "host:port"),
        ("kafka://u:se#cret@h", "%23"),
        ("kafka://h/a/b", "name of a topic"),
        ("kafka://h/%20", "name of a topic"),
        ("kafka://h?topic=..", "name of a topic"),
        ("kafka://h?linger=1", "did you mean linger_ms?"),
        ("kafka://h?zzz=1", "there is topic, linger_ms"),
        ("kafka://h?linger_ms=-1", "linger_ms is 0 to"),
        ("kafka://h?linger_ms=secret", "linger_ms is 0 to"),
        ("kafka://h?acks=0", "acks is all or 1"),
        ("kafka://h?create=maybe", "create is true or false"),
        ("kafka://h?partitions=0", "partitions is 1 to 256"),
        ("kafka://h?partitions=257", "partitions is 1 to 256"),
        ("kafka://h?replication=0", "replication is"),
        ("kafka://h?retention_minutes=0", "retention_minutes is"),
        ("kafka://h?ssl_context=x", "cannot stand in a URL"),
        ("kafka://h?security_protocol=TLS", "security_protocol is one of"),
        ("kafka://u:secret@h?security_protocol=SSL", "make it SASL_SSL"),
        ("kafka://h?security_protocol=SASL_SSL", "needs a login"),
        ("kafka://h?security_protocol=PLAINTEXT&ssl_cafile=x", "options of TLS"),
        ("kafka://h?sasl_kerberos_service_name=x", "sasl_mechanism is missing"),
        ("kafka://h?sasl_mechanism=PLAIN", "needs a user and a password"),
    ],
)
def test_what_cannot_work_says_what_can(url: str, says: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        parse(url)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("kafka_options", "options"),
    [
        ({"linger_ms": 3}, {}),
        ({}, {"client_id": "x"}),
        ({}, {"topic": 7}),
        ({"client_id": 7}, {}),
        ({"ssl_context": "x"}, {}),
    ],
)
def test_arguments_that_cannot_work(kafka_options: dict[str, Any], options: dict[str, Any]) -> None:
    with pytest.raises(BrokerURLError):
        parse("kafka://h", kafka_options, options)


def test_a_location_shows_no_password() -> None:
    assert "p@ss" not in repr(parse("kafka://user:p%40ss%2Fw@h"))


def test_no_option_means_two_things() -> None:
    assert not OWN_OPTIONS.keys() & CLIENT_OPTIONS.keys()

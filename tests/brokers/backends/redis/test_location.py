from __future__ import annotations

import pytest
from redis.credentials import UsernamePasswordCredentialProvider

from roomcast_brokers.backends.redis.layout import Server
from roomcast_brokers.backends.redis.location import (
    CONNECT_TIMEOUT,
    SCHEMES,
    Access,
    Kind,
    Location,
    parse,
)
from roomcast_brokers.errors import BrokerURLError
from roomcast_brokers.registry import BACK_ENDS


def single(server: Server, **access: object) -> Location:
    return Location(kind=Kind.SINGLE, servers=(server,), access=Access(**access))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "server", "access"),
    [
        ("redis://", Server("localhost", 6379), {}),
        ("redis://localhost:6379/0", Server("localhost", 6379), {}),
        ("REDIS://h", Server("h", 6379), {}),
        ("valkey://h:1/7", Server("h", 1), {}),
        ("redis://:p%40ss%2Fw@h:1", Server("h", 1), {"password": "p@ss/w"}),
        ("redis://user:pw@h", Server("h", 6379), {"username": "user", "password": "pw"}),
        ("redis://h?password=pw&username=user", Server("h", 6379), {"username": "user", "password": "pw"}),
        ("redis://[::1]:7", Server("::1", 7), {}),
        (
            "redis://h?socket_connect_timeout=1.5&client_name=shop",
            Server("h"),
            {"connect_timeout": 1.5, "client_name": "shop"},
        ),
        ("redis://h?socket_timeout=2", Server("h"), {"connect_timeout": 2.0}),
        ("rediss://h:1", Server("h", 1), {"tls": {}}),
        (
            "valkeys://h:1?ssl_ca_certs=/a.pem&ssl_check_hostname=no",
            Server("h", 1),
            {"tls": {"ssl_ca_certs": "/a.pem", "ssl_check_hostname": False}},
        ),
        ("unix:///run/redis.sock", Server(path="/run/redis.sock"), {}),
        (
            "unix://user:pw@/run/redis%20.sock?db=2",
            Server(path="/run/redis .sock"),
            {"username": "user", "password": "pw"},
        ),
    ],
)
def test_one_server(url: str, server: Server, access: dict[str, object]) -> None:
    location = parse(url)
    assert location.servers == (server,)
    assert location.kind is Kind.SINGLE
    assert location.access == Access(**access)  # type: ignore[arg-type]


def test_sentinels() -> None:
    location = parse("redis+sentinel://user:pw@h1:1,h2:2,h3/0/orders")
    assert location.kind is Kind.SENTINEL
    assert location.servers == (Server("h1", 1), Server("h2", 2), Server("h3", 26379))
    assert location.service == "orders"
    assert location.access == Access(username="user", password="pw")
    assert location.sentinel_access == Access()  # the user in the URL is the master's


@pytest.mark.parametrize("path", ["", "/", "/0", "/0/"])
def test_a_service_that_is_not_named_has_a_name_all_the_same(path: str) -> None:
    assert parse(f"valkey+sentinel://h{path}").service == "mymaster"
    assert parse(f"valkey+sentinel://h{path}", service="shop").service == "shop"


def test_sentinels_have_an_access_of_their_own() -> None:
    location = parse("redis+sentinel://:pw@h?sentinel_password=other&sentinel_username=watcher&min_other_sentinels=2")
    assert location.sentinel_access == Access(username="watcher", password="other")
    assert location.min_other_sentinels == 2
    location = parse(
        "redis+sentinel://:pw@h", {"sentinel_kwargs": {"password": "own", "socket_timeout": 0.5}, "ssl": True}
    )
    assert location.sentinel_access == Access(password="own", connect_timeout=CONNECT_TIMEOUT)
    assert location.access == Access(password="pw", tls={})


def test_tls_to_the_master_is_tls_to_the_sentinels() -> None:
    tls = {"ssl_ca_certs": "/a.pem"}
    location = parse("rediss+sentinel://h", {**tls, "socket_connect_timeout": 1})
    assert location.access == location.sentinel_access == Access(tls=tls, connect_timeout=1.0)


@pytest.mark.parametrize(
    "url",
    ["redis+cluster://:pw@h1:1,h2", "valkey+cluster://:pw@h1:1,h2:6379"],
)
def test_cluster(url: str) -> None:
    expected = Location(kind=Kind.CLUSTER, servers=(Server("h1", 1), Server("h2", 6379)), access=Access(password="pw"))
    assert parse(url) == expected


@pytest.mark.parametrize(
    ("url", "options"),
    [("redis://h?cluster=true", {}), ("redis://h?cluster=1", {}), ("redis://h", {"cluster": True})],
)
def test_one_node_says_where_its_cluster_is(url: str, options: dict[str, object]) -> None:
    assert parse(url, options).kind is Kind.CLUSTER
    assert parse("redis://h?cluster=false").kind is Kind.SINGLE


def test_options_of_the_client() -> None:
    harmless = {
        "db": 3,
        "decode_responses": True,
        "encoding": "latin-1",
        "protocol": 3,
        "max_connections": 1,
        "x": object(),
    }
    assert parse("redis://h", harmless) == parse("redis://h")
    options = {"username": "u", "password": "p", "host": "elsewhere", "port": 1, "ssl": True, "ssl_cert_reqs": "none"}
    assert parse("redis://", options) == single(
        Server("elsewhere", 1), username="u", password="p", tls={"ssl_cert_reqs": "none"}
    )
    assert parse("redis://v:q@h:2", options).access.password == "q"  # what the URL says, counts
    assert parse("redis://h:2", options).servers == (Server("h", 2),)


def test_a_credential_provider_stands_for_user_and_password() -> None:
    provider = UsernamePasswordCredentialProvider("u", "p")
    access = parse("redis://a:b@h", {"credential_provider": provider}).access
    assert access == Access(credential_provider=provider)


@pytest.mark.parametrize(
    "url",
    [
        "redis:/h",
        "http://user:secret@h",
        "redis://user:sec/ret@h",
        "redis://user:sec/ret@h:secret",
        "redis://:secret@h:port",
        "redis://:secret@h:99999",
        "redis://:secret@[::1",
        "redis://:secret@h?socket_timeout=soon",
        "redis://:secret@h1,h2",
        "redis+cluster://:secret@h1:secret,h2",
        "redis+sentinel://:secret@h?min_other_sentinels=secret",
        "redis+sentinel://:secret@h?path=/secret",
    ],
)
def test_what_cannot_be_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        parse(url)
    shown = f"{caught.value} {caught.value.__cause__}"
    assert "sec" not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_no_secret_is_shown() -> None:
    location = parse("redis+sentinel://user:hidden@h?sentinel_password=hidden")
    assert "hidden" not in repr(location)


def test_the_registry_knows_every_scheme() -> None:
    registered = {scheme for scheme, back_end in BACK_ENDS.items() if back_end.extra == "redis"}
    assert registered == set(SCHEMES)

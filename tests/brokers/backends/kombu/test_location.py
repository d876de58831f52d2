"""What can be wrong is found out when a broker is made, without connecting, and no message has the URL."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

import pytest
from kombu.transport import TRANSPORT_ALIASES

from roomcast_brokers.backends.kombu import KombuBroker, KombuSender, location
from roomcast_brokers.backends.kombu.location import parse
from roomcast_brokers.backends.kombu.manners import MANNERS
from roomcast_brokers.backends.kombu.spool import SpoolTransport
from roomcast_brokers.errors import BrokerURLError, MissingExtraError


def connection(url: str, attempt: int = 0, *, beating: bool = True, **options: Any) -> Any:
    """kombu's, which has connected nothing."""
    return parse(url, **options).setup(attempt, beating=beating).connect()


def test_amqp() -> None:
    made = connection("kombu+amqp://me:p%40ss@there:5/team")
    assert (made.userid, made.password, made.hostname, made.port, made.virtual_host) == (
        "me",
        "p@ss",
        "there",
        5,
        "team",
    )
    assert made.transport_cls == "pyamqp"
    assert (made.heartbeat, made.connect_timeout) == (20, 5)
    assert made.transport_options == {"client_properties": {"connection_name": "roomcast"}}
    assert connection("kombu+amqp://guest:guest@localhost:5672//").virtual_host == "/"


def test_who_has_no_thread_has_no_heartbeats() -> None:
    assert connection("kombu+amqp://there?heartbeat=7").heartbeat == 7
    assert connection("kombu+amqp://there?heartbeat=7", beating=False).heartbeat == 0


def test_tls_verifies() -> None:
    made = connection("kombu+amqps://there")
    assert (made.transport_cls, made.ssl) == ("amqps", {"server_hostname": None})
    made = connection("kombu+amqps://there", connection_options={"ssl": {"ca_certs": "x.pem"}})
    assert made.ssl == {"server_hostname": None, "ca_certs": "x.pem"}
    assert connection("kombu+rediss://there").ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    made = connection("kombu+rediss://there", connection_options={"ssl": {"ssl_cert_reqs": ssl.CERT_NONE}})
    assert made.ssl == {"ssl_cert_reqs": ssl.CERT_NONE}
    assert connection("kombu+amqp://there", connection_options={"ssl": True}).ssl is True


def test_kombu_may_write_into_its_options() -> None:
    one = parse("kombu+amqps://there", connection_options={"transport_options": {"read_timeout": 4}})
    made: Any = one.setup().connect()
    made.ssl["server_hostname"] = "there"
    made.transport_options.clear()
    again: Any = one.setup().connect()
    assert again.ssl == {"server_hostname": None}
    assert again.transport_options["read_timeout"] == 4


def test_redis_and_what_nobody_may_change_there() -> None:
    options = {"fanout_patterns": False, "health_check_interval": 0, "retry_on_timeout": True, "socket_timeout": 9}
    made = connection("kombu+redis://:secret@there/3", connection_options={"transport_options": options})
    assert made.transport_options == {
        "socket_timeout": 9,
        "socket_connect_timeout": 5.0,
        "client_name": "roomcast",
        "fanout_patterns": True,
        "retry_on_timeout": False,
        "health_check_interval": 1,
    }
    assert connection("kombu+redis+socket:///run/redis.sock").hostname == "socket:///run/redis.sock"


def test_several_urls_have_their_turns() -> None:
    url = "kombu+amqp://one;kombu+amqp://two;amqp://three"
    assert [connection(url, attempt).hostname for attempt in range(4)] == ["one", "two", "three", "one"]
    sentinels = connection(
        "kombu+sentinel://one:1;sentinel://two:2", 1, connection_options={"transport_options": {"master_name": "m"}}
    )
    assert sentinels.alt == ["sentinel://two:2", "sentinel://one:1"]


def test_upper_and_lower_case() -> None:
    assert connection("KOMBU+AMQP://there").hostname == "there"
    assert connection("Kombu+Memory://").transport_cls == "memory"


def test_a_folder() -> None:
    made = connection("kombu+filesystem:///var/spool/x")
    assert made.transport_cls is SpoolTransport
    assert made.transport_options["data_folder_in"] == "/var/spool/x"
    with pytest.raises(BrokerURLError, match="one folder"):
        parse("kombu+filesystem://")


@pytest.mark.parametrize("name", ["zookeeper", "etcd", "consul", "pyro", "slmq", "SLMQ"])
def test_a_transport_without_fanout_is_refused(name: str) -> None:
    for make in (KombuBroker, KombuSender):
        with pytest.raises(
            BrokerURLError, match=f"kombu's transport {name} has no fanout: each message would"
        ) as caught:
            make(f"kombu+{name}://me:secret@there")
        assert "secret" not in str(caught.value)


def without(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not installed."""

    def unfound(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)

    monkeypatch.setattr(location, "get_transport_cls", unfound)
    monkeypatch.setattr(location, "find_spec", lambda name: None)


@pytest.mark.parametrize("name", ["mongodb", "redis"])
def test_a_missing_package_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without(name, monkeypatch)
    with pytest.raises(MissingExtraError, match=rf"pip install 'kombu\[{name}\]'") as caught:
        KombuBroker(f"kombu+{name}://me:secret@there")
    assert "secret" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("name", TRANSPORT_ALIASES)
def test_every_transport_is_taken_refused_or_lacks_something(name: str) -> None:
    address = "/folder" if name == "filesystem" else "there"
    options = {"transport_options": {"master_name": "m"}}
    with (
        contextlib.nullcontext()
        if name in {*MANNERS, "qpid", "pgmq"}
        else pytest.raises((BrokerURLError, MissingExtraError), match=r"no fanout|pip install")
    ):
        parse(f"kombu+{name}://{address}", connection_options=options)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("kombu+amqb://me:secret@there", r"no transport amqb; did you mean kombu\+amqp://"),
        ("kombu+pigeon://me:secret@there", r"no transport pigeon; it has SLMQ, SQS, amqp, amqps"),
        ("kombu+sqla+mysql://me:secret@there", "sqla"),
        ("kombu+", "a URL of kombu's"),
        ("kombu+me:secret@there", "a URL of kombu's"),
        ("kombu+amqp://me:secret@there:port", "cannot read the URL"),
        ("kombu+amqp://me:sec/ret@there:5672", "cannot read the URL"),
        ("kombu+amqp://me:secret@there?no_such_option=1", "cannot read the URL"),
        ("kombu+amqp://one;kombu+secret.module://two", "cannot read the URL"),
        ("kombu+sentinel://me:secret@there", "master_name"),
    ],
)
def test_what_is_wrong_with_a_url(url: str, why: str) -> None:
    with pytest.raises((BrokerURLError, MissingExtraError), match=why) as caught:
        parse(url)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or "sec/ret" not in url


def test_options_count_over_the_defaults() -> None:
    made = parse(
        "kombu+amqp://there",
        connection_options={"heartbeat": 3, "transport_options": {"read_timeout": 4}},
        exchange_options={"durable": True, "type": "topic", "name": "mine"},
        queue_options={"max_length": 7, "queue_arguments": {"x-expires": 9, "x-other": 1}, "name": "shared"},
        producer_options={"compression": "zlib", "serializer": "json"},
    )
    setup = made.setup()
    connected: Any = setup.connect()
    assert connected.heartbeat == 3
    assert connected.transport_options["read_timeout"] == 4
    assert connected.transport_options["client_properties"] == {"connection_name": "roomcast"}
    exchange: Any = setup.exchange
    assert (exchange.name, exchange.type, exchange.durable, exchange.auto_delete) == ("roomcast", "direct", True, False)
    assert exchange.delivery_mode == 1
    assert setup.queue_options == {
        "durable": False,
        "exclusive": True,
        "auto_delete": True,
        "message_ttl": 60,
        "max_length": 7,
        "max_length_bytes": 67_108_864,
        "queue_arguments": {"x-expires": 9, "x-other": 1},
    }
    assert setup.producer_options == {"compression": "zlib"}
    assert setup.compressed
    assert not parse("kombu+amqp://there").setup().compressed


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"queue_options": {"max_lenght": 1}}, "queue_options knows no max_lenght; did you mean max_length"),
        ({"exchange_options": {"x": 1}}, "exchange_options knows no x; there are arguments, auto_delete"),
        ({"producer_options": {"compresion": "zlib"}}, "did you mean compression"),
        ({"connection_options": {"hostname": "x"}}, "cannot read the URL, or connection_options"),
    ],
)
def test_a_slip_in_an_option(options: dict[str, Any], why: str) -> None:
    with pytest.raises(BrokerURLError, match=why):
        parse("kombu+amqp://there", **options)


def test_what_is_shown_of_it() -> None:
    assert repr(parse("kombu+amqp://me:secret@there")) == "Location(exchange='roomcast')"

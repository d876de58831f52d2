"""Where Kafka is, how one gets in, and what topic to use, as the URL and the options say it. Nothing is asked here.

``kafka://user:password@host:9092,host:9092/topic?option=value``

Without a topic in the path each channel's cluster is the topic (:mod:`.partitions`). A user in the URL means SASL, with
the mechanism PLAIN unless ``sasl_mechanism`` says otherwise.

======================  ========  ==================================================================================
option                  default
======================  ========  ==================================================================================
``topic``                         instead of the path
``linger_ms``           1         how long a message may wait for others to share its request; 1 to 5 is sensible
``acks``                all       ``all``: accepted when every replica in step has it, and the producer is idempotent.
                                  ``1``: when the leader has it; with one request at a time instead, so that nothing
                                  that is tried again overtakes anything
``create``              true      whether a topic that is missing is made
``partitions``          16        of a topic that is made
``replication``         -1        of a topic that is made; -1: as the server has it by default
``retention_minutes``   60        of a topic that is made: how long a node may be away and lose nothing
======================  ========  ==================================================================================

They stand in the query or are keyword arguments. So do, in the query or in ``kafka_options``, those of kafka-python's
that say how to get in (:data:`CLIENT_OPTIONS`); what is an object cannot stand in a query. Where both say something,
the URL wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from roomcast_brokers.backends.kafka.partitions import is_topic
from roomcast_brokers.errors import BrokerURLError

SCHEME: Final = "kafka"
PORT: Final = 9_092
DEFAULT_CLIENT_ID: Final = "roomcast"

# More than this is no waiting for company: it is what a person notices.
MAX_LINGER_MS: Final = 1_000.0

# There are 256 shards: more partitions than that would stay empty.
MAX_PARTITIONS: Final = 256

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
_NEED_PASSWORD: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

Acks = Literal["all", 1]


class Creation(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a topic that is missing is made, and how."""

    allowed: bool = True
    partitions: int = 16
    replication: int = -1
    retention_minutes: int = 60


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where Kafka is. ``client`` are kafka-python's options for every client; ``topic`` None: the channel's cluster."""

    servers: tuple[str, ...]
    topic: str | None = None
    client: Mapping[str, Any] = {}
    linger_ms: float = 1.0
    acks: Acks = "all"
    creation: Creation = Creation()

    def __repr__(self) -> str:  # may end up in a log or a failed assertion; there are passwords in ``client``
        return f"Location(topic={self.topic!r})"


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text not in _TRUE | _FALSE:
        raise ValueError
    return text in _TRUE


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _object(value: Any) -> Any:
    if isinstance(value, str):
        raise TypeError
    return value


def _protocol(value: Any) -> str:
    text = _text(value).upper()
    if text not in _PROTOCOLS:
        raise ValueError
    return text


def _acks(value: Any) -> Acks:
    text = str(value).lower()
    if text in {"all", "-1"}:
        return "all"
    if text == "1":
        return 1
    raise ValueError


def _between(least: float, most: float, kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        number = kind(value)
        if not least <= number <= most:
            raise ValueError
        return number

    return convert


def _replication(value: Any) -> int:
    number = int(value)
    if number != -1 and number < 1:
        raise ValueError
    return number


Converters = Mapping[str, tuple[Callable[[Any], Any], str]]

# name → (what makes a value of it, what the message says that it is)
OWN_OPTIONS: Final[Converters] = {
    "topic": (_text, "the name of a topic"),
    "linger_ms": (_between(0.0, MAX_LINGER_MS, float), f"0 to {MAX_LINGER_MS:g} milliseconds"),
    "acks": (_acks, "all or 1"),
    "create": (_boolean, "true or false"),
    "partitions": (_between(1, MAX_PARTITIONS, int), f"1 to {MAX_PARTITIONS}"),
    "replication": (_replication, "a number of replicas, or -1"),
    "retention_minutes": (_between(1, 2**31, int), "a number of minutes"),
}

CLIENT_OPTIONS: Final[Converters] = {
    "client_id": (_text, "a name"),
    "client_dns_lookup": (_text, "one of kafka-python's words for it"),
    "security_protocol": (_protocol, f"one of {', '.join(_PROTOCOLS)}"),
    "ssl_context": (_object, "an ssl.SSLContext, which cannot stand in a URL"),
    "ssl_check_hostname": (_boolean, "true or false"),
    "ssl_cafile": (_text, "the path of a file"),
    "ssl_certfile": (_text, "the path of a file"),
    "ssl_keyfile": (_text, "the path of a file"),
    "ssl_password": (_text, "a password"),
    "ssl_crlfile": (_text, "the path of a file"),
    "sasl_mechanism": (_text, "the name of a mechanism"),
    "sasl_plain_username": (_text, "a name"),
    "sasl_plain_password": (_text, "a password"),
    "sasl_kerberos_name": (_text, "a name"),
    "sasl_kerberos_service_name": (_text, "a name"),
    "sasl_kerberos_domain_name": (_text, "a name"),
    "sasl_oauth_token_provider": (_object, "a token provider, which cannot stand in a URL"),
}


def parse(
    url: str, kafka_options: Mapping[str, Any] | None = None, options: Mapping[str, Any] | None = None
) -> Location:
    """What ``url``, kafka-python's options and our own say together.

    Raises :class:`BrokerURLError`, which never quotes the URL nor a value.
    """
    parts = _split(url)
    asked = {unquote(name): value for name, value in parse_qsl(parts.query, keep_blank_values=True)}
    _refuse_unknown(asked, {**OWN_OPTIONS, **CLIENT_OPTIONS}, "the URL")
    _refuse_unknown(options or {}, OWN_OPTIONS, "the arguments")
    _refuse_unknown(kafka_options or {}, CLIENT_OPTIONS, "kafka_options")
    userinfo, _, hosts = parts.netloc.rpartition("@")
    own = _converted(
        {**(options or {}), **{name: each for name, each in asked.items() if name in OWN_OPTIONS}}, OWN_OPTIONS
    )
    said = {**(kafka_options or {}), **_login(userinfo), **{k: v for k, v in asked.items() if k in CLIENT_OPTIONS}}
    return Location(
        servers=_servers(hosts),
        topic=_topic(parts.path, own.get("topic")),
        client=_client(_converted(said, CLIENT_OPTIONS)),
        linger_ms=own.get("linger_ms", 1.0),
        acks=own.get("acks", "all"),
        creation=Creation(
            allowed=own.get("create", True),
            **{name: own[name] for name in ("partitions", "replication", "retention_minutes") if name in own},
        ),
    )


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme.lower() != SCHEME or "://" not in url:
        raise BrokerURLError("a URL of Kafka is kafka://host:port,host:port/topic")
    if parts.fragment:
        raise BrokerURLError("a URL of Kafka has no #; in a password it is written %23")
    return parts


def _refuse_unknown(given: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(known)}"
            raise BrokerURLError(f"Kafka takes no such option as one in {where}; {hint}")


def _converted(given: Mapping[str, Any], known: Converters) -> dict[str, Any]:
    found = {}
    for name, value in given.items():
        if value is not None:
            convert, what = known[name]
            try:
                found[name] = convert(value)
            except (ValueError, TypeError):
                # Not chained: the message quotes what it could not read.
                raise BrokerURLError(f"Kafka's option {name} is {what}") from None
    return found


def _login(userinfo: str) -> dict[str, Any]:
    name, _, password = userinfo.partition(":")
    if not name:
        return {}
    return {"sasl_plain_username": unquote(name), "sasl_plain_password": unquote(password)}


def _servers(hosts: str) -> tuple[str, ...]:
    found = []
    for each in hosts.split(","):
        try:
            parts = urlsplit(f"//{each}")
            host, port = parts.hostname, parts.port
        except ValueError:  # not chained: it may quote half of a password
            host = port = None
        if not host:
            raise BrokerURLError("each of Kafka's servers is host:port; a / or @ in a password is written %2F or %40")
        found.append(f"[{host}]:{port or PORT}" if ":" in host else f"{host}:{port or PORT}")
    return tuple(found)


def _topic(path: str, option: str | None) -> str | None:
    name = unquote(path.strip("/")) or option
    if name is not None and not is_topic(name):
        raise BrokerURLError("the name of a topic has 1 to 249 of A-Z a-z 0-9 . _ -")
    return name


def _client(said: dict[str, Any]) -> dict[str, Any]:
    """kafka-python's options, with those that follow from others, if they go together."""
    with_sasl = any(name.startswith("sasl_") for name in said)
    with_ssl = any(name.startswith("ssl_") for name in said)
    if "sasl_plain_username" in said:
        said.setdefault("sasl_mechanism", "PLAIN")
    said.setdefault("security_protocol", ("SASL_" if with_sasl else "") + ("SSL" if with_ssl else "PLAINTEXT"))
    said.setdefault("client_id", DEFAULT_CLIENT_ID)
    protocol, mechanism = said["security_protocol"], said.get("sasl_mechanism")
    if with_sasl and not protocol.startswith("SASL_"):
        raise BrokerURLError(f"with security_protocol={protocol} nobody is asked who they are: make it SASL_{protocol}")
    if protocol.startswith("SASL_") and not with_sasl:
        raise BrokerURLError(f"security_protocol={protocol} needs a login: kafka://user:password@host:port")
    if protocol.endswith("PLAINTEXT") and with_ssl:
        raise BrokerURLError(f"security_protocol={protocol} does not go with options of TLS")
    if with_sasl and mechanism is None:
        raise BrokerURLError("sasl_mechanism is missing")
    if mechanism in _NEED_PASSWORD and not {"sasl_plain_username", "sasl_plain_password"} <= said.keys():
        raise BrokerURLError(f"sasl_mechanism={mechanism} needs a user and a password: kafka://user:password@host:port")
    return said

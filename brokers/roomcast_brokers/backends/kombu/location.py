"""What ``kombu+<a URL of kombu's>`` means: which transport, how it is used, and what its connections are made with.

Everything that can be wrong is found out when a broker is made, without connecting: the transport's name, the package
that it needs, whether it has fanout, the URL, the options. No message quotes the URL.

Options are those of kombu's own classes and count over the defaults of this package: ``connection_options`` of
``kombu.Connection`` (the URL counts over them), ``exchange_options`` of ``kombu.Exchange``, ``queue_options`` of
``kombu.Queue``, ``producer_options`` of ``kombu.Producer``. The names of exchanges and queues, and how messages are
routed, cannot be chosen: two nodes that share a queue would each hear half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import msgspec
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES, get_transport_cls

from roomcast_brokers.backends.kombu.ends import Setup
from roomcast_brokers.backends.kombu.manners import CONNECT_TIMEOUT, MANNERS, QUEUE, UNKNOWN, Manner
from roomcast_brokers.errors import BrokerURLError, MissingExtraError

PREFIX: Final = "kombu+"

# The same in all nodes and emitters of all clusters.
EXCHANGE: Final = "roomcast"

# amqp://, and redis+socket://, where what stands behind the + is a part of the address
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9]{0,30})(?:\+[A-Za-z0-9+.-]{1,30})?://")

# What may be chosen of exchanges, queues and producers. What else kombu knows there follows from how messages are
# routed, and is ignored; what it does not know is a slip, and refused.
_CHOICES: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "exchange": (
        frozenset({"durable", "auto_delete", "delivery_mode", "arguments"}),
        frozenset(name for name, _ in Exchange.attrs),
    ),
    "queue": (
        frozenset({*QUEUE, "max_priority", "queue_arguments", "binding_arguments", "consumer_arguments"}),
        frozenset(name for name, _ in Queue.attrs),
    ),
    "producer": (
        frozenset({"compression"}),
        frozenset({"serializer", "exchange", "routing_key", "auto_declare", "on_return"}),
    ),
}

# The defaults for queues by the names that they have among the arguments of RabbitMQ.
_ARGUMENTS: Final[Mapping[str, str]] = {
    "x-expires": "expires",
    "x-message-ttl": "message_ttl",
    "x-max-length": "max_length",
    "x-max-length-bytes": "max_length_bytes",
}


class Location(msgspec.Struct, frozen=True):
    """``urls`` are kombu's; where there are several, each has its turn. All options are complete."""

    urls: tuple[str, ...]
    manner: Manner
    connection_options: Mapping[str, Any]
    exchange: Exchange
    queue_options: Mapping[str, Any]
    producer_options: Mapping[str, Any]

    def __repr__(self) -> str:  # may end up in a log or a failed assertion
        return f"Location(exchange={self.exchange.name!r})"

    def setup(self, attempt: int = 0, *, beating: bool = True) -> Setup:
        """What an end is made of at this attempt. Unless ``beating`` it has no heartbeats: whoever has no thread cannot
        send any.
        """
        first = attempt % len(self.urls)
        urls = [*self.urls[first:], *self.urls[:first]]
        return Setup(
            partial(_connection, urls, self.connection_options, beating),
            self.exchange,
            self.queue_options,
            self.producer_options,
            bool(self.producer_options.get("compression")),
        )


def parse(
    url: str,
    *,
    connection_options: Mapping[str, Any] | None = None,
    exchange_options: Mapping[str, Any] | None = None,
    queue_options: Mapping[str, Any] | None = None,
    producer_options: Mapping[str, Any] | None = None,
) -> Location:
    """Raises :class:`BrokerURLError` and :class:`MissingExtraError`."""
    urls = tuple(_without_prefix(each) for each in url.split(";"))
    name = _transport_name(urls[0])
    manner = MANNERS.get(name, UNKNOWN)
    _check_transport(name, manner)
    location = Location(
        urls,
        manner,
        _connection_options(manner, urls[0], connection_options),
        _exchange(manner, exchange_options),
        _queue(queue_options),
        _chosen("producer", producer_options),
    )
    try:
        location.setup().connect()  # which connects nothing yet
    except (TypeError, ValueError, KeyError):
        # Not chained: what could not be read may be half of a password, and the message quotes it.
        message = "kombu cannot read the URL, or connection_options; a / or @ in a password is written %2F or %40"
        raise BrokerURLError(message) from None
    return location


def _connection(urls: list[str], options: Mapping[str, Any], beating: bool) -> Connection:
    # kombu writes into what it is given: the host of one URL would be that of all others.
    connection = Connection(urls, **{key: dict(of) if isinstance(of, dict) else of for key, of in options.items()})
    if not beating:
        connection.heartbeat = 0
    return connection


def _without_prefix(url: str) -> str:
    return url[len(PREFIX) :] if url[: len(PREFIX)].lower() == PREFIX else url


def _transport_name(url: str) -> str:
    found = _SCHEME.match(url)
    if found is None:
        raise BrokerURLError("behind kombu+ stands a URL of kombu's: kombu+amqp://user:password@host:port/vhost")
    name = found[1] if found[1] in TRANSPORT_ALIASES else found[1].lower()
    if name not in TRANSPORT_ALIASES:
        near = get_close_matches(name, TRANSPORT_ALIASES, n=1)
        hint = f"did you mean {PREFIX}{near[0]}://?" if near else f"it has {', '.join(sorted(TRANSPORT_ALIASES))}"
        raise BrokerURLError(f"kombu has no transport {name}; {hint}")
    return name


def _check_transport(name: str, manner: Manner) -> None:
    try:
        if manner.needs is not None and find_spec(manner.needs) is None:
            raise ModuleNotFoundError(f"No module named {manner.needs!r}", name=manner.needs)
        transport: Any = get_transport_cls(name)
    except (ImportError, NameError) as error:  # some of kombu's name what they could not import
        message = f"kombu's transport {name} needs a package that is not installed: pip install 'kombu[{name}]'"
        raise MissingExtraError(message) from error
    if "fanout" not in transport.implements.exchange_type:
        raise BrokerURLError(
            f"kombu's transport {name} has no fanout: each message would reach one node and not all of them; "
            "amqp, redis and others have it"
        )


def _connection_options(manner: Manner, url: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """The keyword arguments of ``kombu.Connection``."""
    given = given or {}
    options = {"connect_timeout": CONNECT_TIMEOUT, **manner.connection, **given, **manner.fixed}
    if isinstance(given.get("ssl"), Mapping):
        options["ssl"] = {**manner.connection.get("ssl", {}), **given["ssl"]}
    of_transport = {**manner.transport_options, **(given.get("transport_options") or {}), **manner.always}
    if manner.complete is not None:
        manner.complete(url, of_transport)
    return {**options, "transport_options": of_transport}


def _exchange(manner: Manner, given: Mapping[str, Any] | None) -> Exchange:
    options = {"durable": False, "auto_delete": False, "delivery_mode": "transient"}
    return Exchange(EXCHANGE, manner.exchange_type, **{**options, **_chosen("exchange", given)})


def _queue(given: Mapping[str, Any] | None) -> dict[str, Any]:
    chosen = _chosen("queue", given)
    defaults = dict(QUEUE)
    for argument in chosen.get("queue_arguments") or ():
        defaults.pop(_ARGUMENTS.get(argument, ""), None)  # or else kombu would let the default count
    return {**defaults, **chosen}


def _chosen(of: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    choices, known = _CHOICES[of]
    for name in given or {}:
        if name not in choices | known:
            near = get_close_matches(name, choices, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(choices))}"
            raise BrokerURLError(f"{of}_options knows no {name}; {hint}")
    return {name: value for name, value in (given or {}).items() if name in choices}

"""From a URL to a back end: a table of text; a module is imported when its scheme is named.

Whatever the colour of the back end, all three ways in work: :func:`create` for an event loop, :func:`create_threaded`
for threads, :func:`create_sender` for who only writes. What the back end does not have is bridged. The bridges, too,
are imported when they are needed: whoever only blocks and sends has no use for asyncio, which takes longer to import
than all the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from importlib import import_module
from typing import Any, Final, Literal

import msgspec

from roomcast_brokers.contracts import AsyncBroker, Broker, Sender
from roomcast_brokers.errors import BrokerURLError, MissingExtraError

DISTRIBUTION: Final = "roomcast-brokers"

# Only what looks like a scheme is ever repeated in a message: what stands before :// in a URL that was pasted wrongly
# may be a password.
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30})://")


# A name in a table that ends with this serves every scheme that begins so: kombu+amqp, kombu+redis …
_PREFIXED: Final = "+"


class BackEnd(msgspec.Struct, frozen=True):
    """Where a back end is. ``path`` is a class that takes the URL and keyword options, and is a broker of ``colour``;
    ``sender`` likewise a :class:`~roomcast_brokers.contracts.Sender`, if there is one. ``extra`` of the distribution
    brings what they import (None: nothing to install).
    """

    path: str
    colour: Literal["asyncio", "threads"] = "asyncio"
    extra: str | None = None
    sender: str | None = None


_REDIS = BackEnd(
    "roomcast_brokers.backends.redis:RedisBroker",
    extra="redis",
    sender="roomcast_brokers.backends.redis:RedisSender",
)
_ZMQ = BackEnd(
    "roomcast_brokers.backends.zmq:ZmqBroker",
    extra="zmq",
    sender="roomcast_brokers.backends.zmq:ZmqSender",
)
_KOMBU = BackEnd(
    "roomcast_brokers.backends.kombu:KombuBroker",
    "threads",
    extra="kombu",
    sender="roomcast_brokers.backends.kombu:KombuSender",
)

_RABBITMQ = BackEnd("roomcast_brokers.backends.aiopika:AiopikaBroker", extra="aiopika")
_KAFKA = BackEnd(
    "roomcast_brokers.backends.kafka:KafkaBroker",
    "threads",
    extra="kafka",
    sender="roomcast_brokers.backends.kafka:KafkaSender",
)

BACK_ENDS: Mapping[str, BackEnd] = {
    "memory": BackEnd("roomcast_brokers.backends.memory:MemoryBroker"),
    "redis": _REDIS,
    "rediss": _REDIS,
    "unix": _REDIS,
    "valkey": _REDIS,
    "valkeys": _REDIS,
    "redis+sentinel": _REDIS,
    "valkey+sentinel": _REDIS,
    "rediss+sentinel": _REDIS,
    "valkeys+sentinel": _REDIS,
    "redis+cluster": _REDIS,
    "rediss+cluster": _REDIS,
    "valkey+cluster": _REDIS,
    "valkeys+cluster": _REDIS,
    "zmq+ipc": _ZMQ,
    "zmq+tcp": _ZMQ,
    "kafka": _KAFKA,
    "amqp": _RABBITMQ,
    "amqps": _RABBITMQ,
    "kombu+": _KOMBU,
}


def scheme_of(url: str) -> str:
    """What stands before ``://``, in lower case. Raises :class:`BrokerURLError` if nothing does that could be one."""
    found = _SCHEME.match(url)
    if found is None:
        raise BrokerURLError("a broker is named by a URL such as memory://")
    return found[1].lower()


def create(
    url: str, *, distribution: str = DISTRIBUTION, table: Mapping[str, BackEnd] = BACK_ENDS, **options: Any
) -> AsyncBroker:
    """The broker that ``url`` names, for one event loop and not opened yet. ``options`` are the back end's.

    Raises :class:`BrokerURLError` for a scheme that nobody serves (and suggests one), :class:`MissingExtraError` if the
    back end's package is not installed (and names the extra of ``distribution``, which the user has installed). No
    message quotes the URL, which may hold a password.
    """
    scheme, back_end = _find(url, table)
    make = partial(_load(scheme, back_end.path, back_end.extra, distribution), url, **options)
    if back_end.colour == "threads":
        from roomcast_brokers.bridge import LoopBroker

        return LoopBroker(make)
    broker: AsyncBroker = make()
    return broker


def create_threaded(
    url: str, *, distribution: str = DISTRIBUTION, table: Mapping[str, BackEnd] = BACK_ENDS, **options: Any
) -> Broker:
    """As :func:`create`, for threads."""
    scheme, back_end = _find(url, table)
    make = partial(_load(scheme, back_end.path, back_end.extra, distribution), url, **options)
    if back_end.colour == "asyncio":
        from roomcast_brokers.bridge import ThreadedBroker

        return ThreadedBroker(make)
    broker: Broker = make()
    return broker


def create_sender(
    url: str, *, distribution: str = DISTRIBUTION, table: Mapping[str, BackEnd] = BACK_ENDS, **options: Any
) -> Sender:
    """As :func:`create`: what only writes, and blocks until the broker has it."""
    scheme, back_end = _find(url, table)
    if back_end.sender is None:
        from roomcast_brokers.bridged_sender import BridgedSender

        return BridgedSender(partial(create_threaded, url, distribution=distribution, table=table, **options))
    sender: Sender = _load(scheme, back_end.sender, back_end.extra, distribution)(url, **options)
    return sender


def _find(url: str, table: Mapping[str, BackEnd]) -> tuple[str, BackEnd]:
    scheme = scheme_of(url)
    first, plus, rest = scheme.partition(_PREFIXED)
    back_end = table.get(f"{first}{plus}" if rest and scheme not in table else scheme)
    if back_end is None or scheme.endswith(_PREFIXED):
        raise BrokerURLError(f"no broker serves {scheme}://; {_hint(scheme, table)}")
    return scheme, back_end


def _hint(scheme: str, table: Mapping[str, BackEnd]) -> str:
    """What may have been meant. Of a scheme that begins with a name of several, only that name is judged here."""
    prefixes = [name for name in table if name.endswith(_PREFIXED)]
    first, _, rest = scheme.partition(_PREFIXED)
    near = get_close_matches(first, [name.removesuffix(_PREFIXED) for name in prefixes], n=1)
    if near:
        return f"did you mean {near[0]}+{rest or '<transport>'}://?"
    near = get_close_matches(scheme, table.keys() - prefixes, n=1)
    if near:
        return f"did you mean {near[0]}://?"
    known = (f"{name}<transport>" if name in prefixes else name for name in sorted(table))
    return f"there is {', '.join(f'{name}://' for name in known)}"


def _load(scheme: str, path: str, extra: str | None, distribution: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    try:
        loaded: Callable[..., Any] = getattr(import_module(module), name)
    except ImportError as error:
        if extra is None or (error.name or "").startswith("roomcast"):
            raise  # nothing that an extra would bring
        command = f"pip install '{distribution}[{extra}]'"
        raise MissingExtraError(f"{scheme}:// needs a package that is not installed: {command}") from error
    return loaded

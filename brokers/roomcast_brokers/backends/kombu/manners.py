"""How each of kombu's transports is used, and why: a table.

================  ===================================================================================================
AMQP              One direct exchange for all; each node has a queue of its own, with a binding for each channel that it
                  subscribes. The broker answers bindings, and confirms what is published.
Redis             One fanout exchange for all, with the channel as its routing key: that is Redis' publish and
                  subscribe, and leaves nothing in Redis. Queues and bindings are keys that outlive a killed node; there
                  are none.
all others that   One fanout exchange for all; each node has a queue of its own, hears everything, and drops what it did
have fanout       not subscribe. Nothing else works with all of them: some can bind a queue to one exchange only, some
                  cannot unbind it. What a killed node leaves there, stays.
================  ===================================================================================================
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from roomcast_brokers.backends.kombu.broadcast import BroadcastIntake, BroadcastOutlet
from roomcast_brokers.backends.kombu.ends import CHECK, STALL, Intake, Outlet, Setup
from roomcast_brokers.backends.kombu.routed import RoutedIntake, RoutedOutlet
from roomcast_brokers.backends.kombu.spool import SpoolTransport, in_folder
from roomcast_brokers.backends.kombu.topics import TopicIntake, TopicOutlet
from roomcast_brokers.contracts import Traits
from roomcast_brokers.errors import BrokerURLError

# Seconds, negotiated: the server gives up a client that was silent for twice as long, and one that stood still for half
# a minute finds its queue as it was. That the server is gone is found out by asking it.
HEARTBEAT: Final = 20

# Seconds to reach the server, greeting included.
CONNECT_TIMEOUT: Final = 5.0

# What a queue holds while its node stands still: a minute at one megabyte a second. Then the oldest go, and the node
# confesses that it missed them. No queue outlives its connection; that it expires is for whoever makes it durable.
QUEUE: Final[Mapping[str, Any]] = {
    "durable": False,
    "exclusive": True,
    "auto_delete": True,
    "expires": 60,  # seconds without a consumer
    "message_ttl": 60,  # seconds
    "max_length": 100_000,
    "max_length_bytes": 64 * 1_048_576,
}

# Seconds between two looks: at the queues of this process, which cost nothing; at a folder; at what kombu itself looks
# at once a second, because each look costs a request, perhaps money.
POLL_MEMORY: Final = 0.01
POLL_FOLDER: Final = 0.05
POLL_UNKNOWN: Final = 1.0

# Seconds between two beats of a node, at the least, where every beat is a file for each node.
BEAT_FOLDER: Final = 1.0


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """``connection`` and ``transport_options`` are defaults for ``kombu.Connection``; what is in ``fixed`` and
    ``always``, nobody may change. ``complete`` adds what is missing of the options of a transport, or says what is.
    ``poll``: seconds, where nothing tells that something has come. ``needs`` is a package that kombu does not ask for
    before it connects.
    """

    intake: Callable[[Setup], Intake]
    outlet: Callable[[Setup], Outlet]
    exchange_type: str
    traits: Traits
    connection: Mapping[str, Any] = {}
    fixed: Mapping[str, Any] = {}
    transport_options: Mapping[str, Any] = {}
    always: Mapping[str, Any] = {}
    complete: Callable[[str, dict[str, Any]], None] | None = None
    poll: float = POLL_UNKNOWN
    needs: str | None = None


def _traits(*, ordered: bool, confirms: bool = True, beat: float = 0.0) -> Traits:
    return Traits(
        ordered_across_channels=ordered,
        cheap_subscriptions=False,
        confirms_subscriptions=confirms,
        shortest_beat=beat,
    )


def _with_master(_: str, options: dict[str, Any]) -> None:
    if not options.get("master_name"):
        raise BrokerURLError(
            "kombu's sentinel transport wants to know which master: connection_options="
            "{'transport_options': {'master_name': ...}}; redis+sentinel:// takes it from the URL"
        )


_AMQP: Final = Manner(
    intake=RoutedIntake,
    outlet=RoutedOutlet,
    exchange_type="direct",
    traits=_traits(ordered=True),
    connection={"heartbeat": HEARTBEAT},
    # By its full name: for amqp alone kombu takes another library if it finds one, which has none of what is used here.
    fixed={"transport": "pyamqp"},
    transport_options={"client_properties": {"connection_name": "roomcast"}},
)
_REDIS: Final = Manner(
    intake=TopicIntake,
    outlet=TopicOutlet,
    exchange_type="fanout",
    traits=_traits(ordered=True),
    transport_options={
        "socket_timeout": STALL,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "client_name": "roomcast",
    },
    # With patterns the routing key is part of the topic. A connection that redis-py mends by itself is a break that
    # nobody hears of. And Redis is to be asked every second whether it is there.
    always={"fanout_patterns": True, "retry_on_timeout": False, "health_check_interval": int(CHECK)},
    needs="redis",
)
_MEMORY: Final = Manner(
    intake=BroadcastIntake,
    outlet=BroadcastOutlet,
    exchange_type="fanout",
    traits=_traits(ordered=True),
    poll=POLL_MEMORY,
)
_FOLDER: Final = Manner(
    intake=BroadcastIntake,
    outlet=BroadcastOutlet,
    exchange_type="fanout",
    traits=_traits(ordered=True, beat=BEAT_FOLDER),
    fixed={"transport": SpoolTransport},
    complete=in_folder,
    poll=POLL_FOLDER,
)
UNKNOWN: Final = Manner(
    intake=BroadcastIntake,
    outlet=BroadcastOutlet,
    exchange_type="fanout",
    traits=_traits(ordered=False, confirms=False, beat=2 * POLL_UNKNOWN),
)

# By the name that a transport has in URLs; those that are not here are UNKNOWN.
MANNERS: Final[Mapping[str, Manner]] = {
    "amqp": _AMQP,
    "pyamqp": _AMQP,
    # Certificates are verified, and belong to the host in the URL, unless somebody says otherwise.
    "amqps": replace(_AMQP, connection={"heartbeat": HEARTBEAT, "ssl": {"server_hostname": None}}, fixed={}),
    "redis": _REDIS,
    "rediss": replace(_REDIS, connection={"ssl": {"ssl_cert_reqs": ssl.CERT_REQUIRED}}),
    "sentinel": replace(_REDIS, complete=_with_master),
    "memory": _MEMORY,
    "filesystem": _FOLDER,
}

"""From the options of a server to the bus that joins it to its cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from roomcast.core.cluster import ClusterOptions
from roomcast.core.node import Node
from roomcast.drivers.asyncio.bus import Bus
from roomcast.errors import SettingsError
from roomcast_brokers.channels import DEFAULT_CLUSTER, check_cluster
from roomcast_brokers.contracts import AsyncBroker
from roomcast_brokers.errors import AddressError, KeyRingError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.registry import create


class BrokerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which broker, and which cluster on it. ``options`` are the back end's own, for its constructor."""

    url: str
    cluster: str = DEFAULT_CLUSTER
    keys: Sequence[str | bytes] | None = None
    options: dict[str, Any] = {}


def take_broker(manager: Any, options: dict[str, Any]) -> BrokerOptions | None:
    """Take ``broker``, ``cluster``, ``keys`` and ``broker_options`` out of a server's options; None: it stands alone.

    What a ``client_manager`` brings comes first.
    """
    url, cluster, keys = options.pop("broker", None), options.pop("cluster", None), options.pop("keys", None)
    more = options.pop("broker_options", None) or {}
    if manager is not None and manager.broker_url is not None:
        return BrokerOptions(
            url=manager.broker_url,
            cluster=manager.channel,
            keys=keys or manager.broker_keys,
            options={**manager.broker_options, **more},
        )
    if url is None:
        return None
    return BrokerOptions(url=url, cluster=cluster or DEFAULT_CLUSTER, keys=keys, options=more)


def make_bus(node: Node, wanted: BrokerOptions, random_tag: bool) -> Bus:
    """The bus of a node. What can never work (a URL, a name, keys, no package) raises now; nothing connects yet."""
    try:
        keys = None if not wanted.keys else KeyRing(wanted.keys)
        check_cluster(wanted.cluster)
    except (KeyRingError, AddressError) as error:
        raise SettingsError(f"the cluster cannot be joined: {error}") from error
    first: list[AsyncBroker] = [make_broker(wanted)]
    options = ClusterOptions(name=wanted.cluster, keys=keys, traits=first[0].traits, random_tag=random_tag)
    return Bus(node, options, once_or_new(first, wanted))


def once_or_new(first: list[AsyncBroker], wanted: BrokerOptions) -> Callable[[], AsyncBroker]:
    """Gives the broker that was made to see whether it can be, and new ones after it."""
    return lambda: first.pop() if first else make_broker(wanted)


def make_broker(wanted: BrokerOptions) -> AsyncBroker:
    """A broker that is not open yet."""
    return create(wanted.url, distribution="roomcast", **wanted.options)

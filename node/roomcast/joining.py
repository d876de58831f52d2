"""From the options of a server to what joins it to its cluster, whatever its colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from roomcast.core.cluster import ClusterOptions
from roomcast.environment import with_broker_of_environment, with_environment
from roomcast.errors import SettingsError
from roomcast_brokers.channels import DEFAULT_CLUSTER, check_cluster
from roomcast_brokers.contracts import Traits
from roomcast_brokers.errors import AddressError, KeyRingError
from roomcast_brokers.keys import KeyRing


class HasTraits(Protocol):
    """A broker of any colour."""

    @property
    def traits(self) -> Traits: ...


B = TypeVar("B", bound=HasTraits)


class BrokerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which broker, and which cluster on it. ``options`` are the back end's own, for its constructor."""

    url: str
    cluster: str = DEFAULT_CLUSTER
    keys: Sequence[str | bytes] | None = None
    options: dict[str, Any] = {}


def read_surroundings(
    server: Any, manager: Any, options: dict[str, Any]
) -> tuple[dict[str, Any], BrokerOptions | None, bool]:
    """What the environment and a ``client_manager`` say of a server where its options do not: (the options that are
    left, its broker or None, whether its tag is one that nobody has chosen).
    """
    options = dict(with_broker_of_environment(options))
    broker = take_broker(manager, options)
    options = with_environment(options, None if broker is None else server)
    return options, broker, options.get("tag") is None


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


def join(
    wanted: BrokerOptions, random_tag: bool, make: Callable[[BrokerOptions], B]
) -> tuple[ClusterOptions, Callable[[], B]]:
    """What a bus is made of: its cluster, and how to get a broker that is not open yet, again and again.

    What can never work (a URL, a name, keys, no package) raises now; nothing connects yet.
    """
    try:
        keys = None if not wanted.keys else KeyRing(wanted.keys)
        check_cluster(wanted.cluster)
    except (KeyRingError, AddressError) as error:
        raise SettingsError(f"the cluster cannot be joined: {error}") from error
    first = [make(wanted)]
    options = ClusterOptions(name=wanted.cluster, keys=keys, traits=first[0].traits, random_tag=random_tag)
    # The one that was made to see whether it can be is used, too.
    return options, lambda: first.pop() if first else make(wanted)

"""What the environment of the process says about the cluster: the same variables set up nodes, emitters and the shell.

An empty variable is none: that is what a compose file makes of one that its own environment lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from roomcast_brokers.channels import DEFAULT_CLUSTER
from roomcast_emitter.errors import NoBrokerError

BROKER_VARIABLE: Final = "ROOMCAST_BROKER"
CLUSTER_VARIABLE: Final = "ROOMCAST_CLUSTER"
KEYS_VARIABLE: Final = "ROOMCAST_KEYS"


class Surroundings(msgspec.Struct, frozen=True):
    """The first three arguments of an emitter."""

    url: str
    cluster: str
    keys: list[str | bytes] | None


def read(environment: Mapping[str, str], default_url: str | None = None) -> Surroundings:
    """The broker's URL, the cluster's name, and the keys, which are separated by commas; the first one signs.

    Raises :class:`NoBrokerError` if no broker is named, and there is no default.
    """
    url = environment.get(BROKER_VARIABLE) or default_url
    if not url:
        raise NoBrokerError(f"which broker? {BROKER_VARIABLE} is not set")
    keys = split_keys(environment.get(KEYS_VARIABLE, ""))
    return Surroundings(url, environment.get(CLUSTER_VARIABLE) or DEFAULT_CLUSTER, keys or None)


def split_keys(text: str) -> list[str | bytes]:
    """The keys of a variable: separated by commas, the first one signs."""
    return [key.strip() for key in text.split(",") if key.strip()]

"""What an emitter of either colour is made with, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time_ns
from typing import Any, Final, TypedDict

from roomcast_brokers.arguments import JsonDumps
from roomcast_brokers.channels import Channels
from roomcast_brokers.contracts import Traits
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.publishing import waiting_limits
from roomcast_emitter.errors import NotDeliveredError
from roomcast_emitter.operations import Operations
from roomcast_emitter.postbox import Limits, OnFailure, Postbox
from roomcast_emitter.receipts import Outcome, Parcel

DISTRIBUTION: Final = "roomcast-emitter"  # whose extra an error about a missing package names

# What closing an emitter and ending a process wait for at most (seconds), beside one attempt that is under way: nothing
# waits longer by default, and container platforms kill after ten.
EXIT_SECONDS: Final = 5.0

Keys = Sequence[str | bytes] | None


class Options(TypedDict, total=False):
    """Keyword arguments of an emitter."""

    on_failure: OnFailure
    """What becomes of what the broker does not take: ``"queue"`` (the default), ``"raise"`` or ``"drop"``."""
    max_buffer_bytes: int
    """What may wait for the broker; beyond it the oldest falls out. 8 MiB by default (64 for a broker that keeps
    messages), 1,040,000 at least.
    """
    max_buffer_seconds: float
    """How long it may wait. 5 s by default, 120 for a broker that keeps messages."""
    json: JsonDumps | None
    """A module with ``dumps`` that encodes in place of msgspec."""
    broker_options: Mapping[str, Any]
    """Keyword arguments of the back end."""


def broker_options(options: Options) -> dict[str, Any]:
    """What the registry is given to make the back end with. TypeError for an option that no emitter has."""
    unknown = options.keys() - Options.__annotations__.keys()
    if unknown:
        raise TypeError(f"an emitter has no option {', '.join(sorted(unknown))}")
    return {"distribution": DISTRIBUTION, **options.get("broker_options", {})}


class Terms:
    """The same for all processes and event loops in which one emitter is used. Raises for what could never work.

    ``traits`` are the back end's: where a channel per room is too dear, nodes listen to shards, and emitters write
    there.
    """

    __slots__ = ("_keys", "_limits", "channels", "operations")

    def __init__(self, cluster: str, keys: Keys, options: Options, traits: Traits) -> None:
        max_bytes, max_seconds = waiting_limits(
            traits.durable, options.get("max_buffer_bytes"), options.get("max_buffer_seconds")
        )
        self._limits = Limits(options.get("on_failure", "queue"), max_bytes, max_seconds)
        self._keys = None if keys is None else KeyRing(keys)
        self.channels = Channels(cluster, shards=not traits.cheap_subscriptions)
        self.operations = Operations(self.channels, options.get("json"))

    def box(self) -> Postbox:
        """A postbox of a new origin."""
        return Postbox(self.channels, self._keys, self._limits, _wall)

    def outcome(self, parcel: Parcel) -> Outcome:
        """What has become of ``parcel``; raises NotDeliveredError if that was asked for."""
        outcome = parcel.outcome
        if self._limits.raises and outcome is not Outcome.DELIVERED:
            raise NotDeliveredError(outcome)
        return outcome


def _wall() -> int:
    return time_ns() // 1_000_000

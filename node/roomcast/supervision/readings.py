"""What a node says about itself: from the text of its ``/readyz`` and ``/metrics`` to a reading."""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

Answer = Literal["ready", "degraded", "unready", "silent"]

_SAMPLE: Final = re.compile(
    rb"^(roomcast_clients|roomcast_broker_up|roomcast_peers)(?:\{[^}\n]*\})? (\S+)$", re.MULTILINE
)


class Reading(msgspec.Struct, frozen=True):
    """``answer`` is silent if there was none. The numbers are None where they are not known."""

    answer: Answer = "silent"
    reasons: tuple[str, ...] = ()
    clients: int | None = None
    broker_up: bool | None = None
    peers: int | None = None

    @property
    def serves(self) -> bool:
        """Whether clients may come."""
        return self.answer in ("ready", "degraded")


class _Readyz(msgspec.Struct):
    status: Literal["ready", "degraded", "unready"]
    reasons: tuple[str, ...] = ()


SILENT: Final = Reading()


def read(readyz: bytes | None, metrics: bytes | None) -> Reading:
    """The reading that these two bodies give, whatever they hold; None is no answer."""
    if readyz is None:
        return SILENT
    try:
        said = msgspec.json.decode(readyz, type=_Readyz)
    except msgspec.MsgspecError:
        return SILENT  # somebody else's listener
    numbers = _sums(metrics or b"")
    broker = numbers.get("roomcast_broker_up")
    return Reading(
        said.status,
        said.reasons,
        numbers.get("roomcast_clients"),
        None if broker is None else bool(broker),
        numbers.get("roomcast_peers"),
    )


def _sums(metrics: bytes) -> dict[str, int]:
    """Each metric that is looked at, summed over its labels."""
    found: dict[str, int] = {}
    for name, value in _SAMPLE.findall(metrics):
        try:
            found[name.decode()] = found.get(name.decode(), 0) + int(float(value))
        except (ValueError, OverflowError):
            continue  # NaN, infinity, or no number
    return found

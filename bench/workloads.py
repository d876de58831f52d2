"""What is measured: the arguments of the load generator, and which of its figures counts."""

from __future__ import annotations

import msgspec


class Workload(msgspec.Struct, frozen=True):
    """``figure`` is the generator's field that counts, in ``unit``; ``rate`` the one for the rate on the wall clock.

    Workloads with equal ``arguments`` share one run. ``lasting`` ones run as long as the user asks.
    """

    name: str
    meaning: str
    arguments: tuple[str, ...]
    figure: str
    unit: str
    rate: str = "per_s"
    lasting: bool = True


_IDLE = ("--mode", "idle", "--conns", "5000")
_PER_MESSAGE = "server_cpu_us_per_msg"

# Connecting comes first: it is measured on a server that has done nothing yet.
WORKLOADS = (
    Workload(
        "connect",
        "5,000 clients connect and join the namespace",
        _IDLE,
        "server_cpu_us_per_connect",
        "µs",
        "connects_per_s",
        lasting=False,
    ),
    Workload(
        "memory",
        "what each of 5,000 idle clients, with a browser's headers, adds to the resident set",
        _IDLE,
        "server_rss_kb_per_conn",
        "KB",
        "connects_per_s",
        lasting=False,
    ),
    Workload(
        "fanout",
        "an event to 1,000 clients, the next when all have it",
        ("--mode", "fanout", "--conns", "1000", "--window", "1"),
        _PER_MESSAGE,
        "µs",
    ),
    Workload(
        "fanout-burst",
        "the same with 16 of them under way",
        ("--mode", "fanout", "--conns", "1000", "--window", "16"),
        _PER_MESSAGE,
        "µs",
    ),
    Workload(
        "echo",
        "event and acknowledgement, 64 clients, one in flight each",
        ("--mode", "echo", "--conns", "64", "--depth", "1"),
        _PER_MESSAGE,
        "µs",
    ),
    Workload(
        "echo-deep",
        "the same with 8 in flight each",
        ("--mode", "echo", "--conns", "64", "--depth", "8"),
        _PER_MESSAGE,
        "µs",
    ),
    Workload(
        "sink", "events without acknowledgement, 50 clients", ("--mode", "sink", "--conns", "50"), _PER_MESSAGE, "µs"
    ),
)


def chosen(only: str | None) -> tuple[Workload, ...]:
    """The workloads whose names begin with one of these, separated by commas; None = all. ValueError when none does."""
    if only is None:
        return WORKLOADS
    beginnings = tuple(part.strip() for part in only.split(",") if part.strip())
    found = tuple(workload for workload in WORKLOADS if workload.name.startswith(beginnings))
    if not found:
        raise ValueError(f"no workload begins with {only!r}; there are {', '.join(w.name for w in WORKLOADS)}")
    return found

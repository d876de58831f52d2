"""What every broker can carry: two nodes, one client on each, messages from the one to the other.

    python -m bench.brokers

For each broker: how long a message takes at 100 a second, from the moment at which it was due to its arrival at a
client of the other node, and the highest rate at which 99 of 100 still arrive within 50 ms and none is lost. Both nodes
share one processor; the broker and the generator have the other (Kafka and RabbitMQ take what they get of both). The
servers are those of the tests. Writes the section "Brokers" of ``bench/RESULTS.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import generator
from bench.contestants import ROOMCAST, Contestant, Missing, python_socketio
from bench.processes import Running, pinned
from bench.report import BROKERS_HEADING, RESULTS, with_section
from tests.contract.services import SERVICES, Service

QUIET_RATE = 100
BOUND_US = 50_000  # of p99, at the highest rate
FIRST_RATE = 500
HIGHEST_RATE = 200_000  # the generator's own end
CLOSE_ENOUGH = 1.15  # the highest rate is known to this factor


# Names of the contract suite's services, each with the variable by which python-socketio's application is told of that
# broker: it has managers for its asynchronous server for two of them.
BROKERS: dict[str, str | None] = {
    "redis": "REDIS",
    "zmq": None,
    "aiopika": "AMQP",
    "aiopika-durable": None,
    "kombu-amqp": None,
    "kombu-redis": None,
    "kafka": None,
}


class Figures(msgspec.Struct, frozen=True):
    """What was measured of one server on one broker: µs, µs, and broadcasts a second."""

    p50: int
    p99: int
    highest: int


Measure = Callable[[int], dict[str, Any]]


def highest_rate(measure: Measure) -> int:
    """The highest rate that ``measure`` finds good: doubled until it is not, then halved in between. 0: none is."""

    def good(rate: int) -> bool:
        try:
            fields = measure(rate)
        except generator.GeneratorFailed:
            return False  # something was lost
        return bool(fields["p99_us"] < BOUND_US)

    low, high = 0, FIRST_RATE
    while high <= HIGHEST_RATE and good(high):
        low, high = high, high * 2
    while low and high / low > CLOSE_ENOUGH:
        middle = (low + high) // 2
        low, high = (middle, high) if good(middle) else (low, middle)
    return low


def measure_pair(program: Path, near: Running, far: Running, seconds: int) -> Figures:
    """Two nodes that run."""

    def measure(rate: int) -> dict[str, Any]:
        arguments = ["--mode", "rate", "--rate", str(rate), "--conns", "2", "--seconds", str(seconds)]
        ports = ["--ports", f"{near.port},{far.port}"]
        return generator.measure(pinned(1, [str(program), *ports, *arguments]), f"{near.name} at {rate} a second")

    quiet = measure(QUIET_RATE)
    return Figures(quiet["p50_us"], quiet["p99_us"], highest_rate(measure))


@contextlib.contextmanager
def serving(name: str) -> Iterator[str]:
    """The broker of that name, running; its URL. Raises LookupError where it is not installed."""
    service: Service | None = None
    try:
        service = next(row for row in SERVICES if row.name == name).service()
        service.start()
        yield service.url()
    except (pytest.skip.Exception, pytest.fail.Exception) as error:  # how the tests say that a program is missing
        raise LookupError(str(error)) from error
    finally:
        if service is not None:
            service.close()


def run(program: Path, brokers: Sequence[str], seconds: int, peer: Contestant | None) -> dict[str, dict[str, Figures]]:
    """Figures by broker and server; what could not be measured is told and left out."""
    found: dict[str, dict[str, Figures]] = {}
    for name in brokers:
        contestants = [(ROOMCAST[0], "ROOMCAST_BROKER")]
        variable = BROKERS[name]
        if peer is not None and variable is not None:
            contestants.append((peer, variable))
        for contestant, variable in contestants:
            _tell(f"{name}: {contestant.name}")
            try:
                with serving(name) as url, _pair(contestant, {variable: url}) as (near, far):
                    found.setdefault(name, {})[contestant.name] = measure_pair(program, near, far, seconds)
            except (LookupError, generator.GeneratorFailed) as error:
                _tell(f"{name}: {error}")
    return found


@contextlib.contextmanager
def _pair(contestant: Contestant, environment: dict[str, str]) -> Iterator[tuple[Running, Running]]:
    with Running(contestant, environment) as near, Running(contestant, environment) as far:
        yield near, far


def render(found: dict[str, dict[str, Figures]], seconds: int) -> str:
    """The section of the page."""
    load = os.getloadavg()[0]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    lines = [
        BROKERS_HEADING,
        "",
        "Two nodes on one processor, one client on each; from the moment at which a message was due on the one to its",
        "arrival at the client of the other. The highest rate is the one at which 99 of 100 arrive within 50 ms and",
        f"none is lost, to about {CLOSE_ENOUGH - 1:.0%}. python-socketio stands beside it where it has a manager for",
        f"its asynchronous server. {today}, {seconds} s each step, payload 100 bytes; load of the machine: {load:.1f}.",
        "",
        "| broker | server | p50 at 100/s | p99 at 100/s | highest rate with p99 < 50 ms |",
        "|---|---|---|---|---|",
    ]
    for broker, servers in found.items():
        for server, figures in servers.items():
            p50, p99 = f"{figures.p50 / 1_000:.1f} ms", f"{figures.p99 / 1_000:.1f} ms"
            lines.append(f"| {broker} | {server} | {p50} | {p99} | {figures.highest:,}/s |")
    return "\n".join([*lines, ""])


def main() -> int:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(prog="python -m bench.brokers", description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="how long a step lasts (%(default)s)")
    parser.add_argument("--only", help="names of brokers, by commas; the results are printed, not recorded")
    options = parser.parse_args()
    brokers = list(BROKERS) if options.only is None else options.only.split(",")
    peer = python_socketio()
    with tempfile.TemporaryDirectory() as folder:
        program = generator.build(Path(folder))["sioload"]
        found = run(program, brokers, options.seconds, None if isinstance(peer, Missing) else peer)
    text = render(found, options.seconds)
    print(text)
    if options.only is None:
        page = RESULTS.read_text(encoding="utf-8")
        RESULTS.write_text(with_section(page, BROKERS_HEADING, text), encoding="utf-8")
    return 0


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

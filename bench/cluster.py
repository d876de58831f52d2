"""What a message between two nodes costs: two nodes of each contestant and one Redis, on one machine.

    python -m bench.cluster

Two workloads. **pair**: a broadcast from one node to one client on each; the figure is the processor time of both
nodes per delivery. **far**: a broadcast from one node to a thousand clients, nearly all of them on the other; the
figure is the processor time of that other node per delivery, to be compared with the fan-out of one node, which is
measured in the same run. Redis and the generator share the processor that the nodes do not have. Writes
``bench/CLUSTER.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import generator
from bench.contestants import ROOMCAST, Contestant, Missing, node, python_socketio
from bench.processes import HOST, Running, available, free_port, pinned

RESULTS = Path(__file__).parent / "CLUSTER.md"
REDIS_PATIENCE = 10.0

# The generator spreads its connections round robin over at most 64 ports: one of them is the near node's.
FAR_PORTS = 63
FAR_CLIENTS = 1_024
FAR_SHARE = FAR_PORTS / (FAR_PORTS + 1)

WINDOWS = (1, 4, 16, 64)
ONE_NODE = ("--mode", "fanout", "--conns", "1000", "--window", "1")

BROKER = {"roomcast": "ROOMCAST_BROKER", "node": "REDIS", "python-socketio": "REDIS"}

INTRODUCTION = """\
# Results of `make bench-cluster`

Two nodes of each server and one Redis on one machine, payload 100 bytes. The figures are processor time per delivery,
median of the rounds; **×N is that server's figure divided by roomcast's**, in brackets the least and the greatest of
the rounds. Only ratios within one run count. `window` is how many broadcasts are on their way at once: with 1 nearly
all of the time goes into waking up and into system calls, of which there is no fewer for anybody; with 64 the nodes'
processor has nothing else to do, and the figure is what a delivery costs a busy cluster.
"""


class Row(msgspec.Struct, frozen=True):
    """One line of the table: what it means, and its figures by contestant and round."""

    meaning: str
    figures: dict[str, list[float]]


class Redis(contextlib.AbstractContextManager["Redis"]):
    """A redis-server of its own, without persistence, on the generator's processor."""

    def __init__(self) -> None:
        self.port = free_port()
        command = ["redis-server", "--port", str(self.port), "--bind", HOST, "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(pinned(1, command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"redis://{HOST}:{self.port}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(REDIS_PATIENCE)


@contextlib.contextmanager
def pair(contestant: Contestant, url: str) -> Iterator[tuple[Running, Running]]:
    """Two nodes of one server that share a Redis."""
    environment = {BROKER[contestant.name]: url}
    with Running(contestant, environment) as near, Running(contestant, environment) as far:
        yield near, far


def deliveries(
    program: Path, ports: Sequence[int], pids: Sequence[int], seconds: int, arguments: Sequence[str]
) -> float:
    """Processor time (µs) of these processes per delivered message. GeneratorFailed when messages were lost."""
    line = [str(program), "--ports", ",".join(map(str, ports)), "--pid", ",".join(map(str, pids))]
    fields = generator.measure(pinned(1, [*line, "--seconds", str(seconds), *arguments]), "the cluster")
    figure: float = fields["server_cpu_us_per_msg"]
    return figure


def measure_pair(program: Path, nodes: tuple[Running, Running], seconds: int) -> Iterator[tuple[str, float]]:
    """The workloads of one pair of nodes, by the meaning of their rows."""
    near, far = nodes
    both = [*near.pids, *far.pids]
    for window in WINDOWS:
        arguments = ("--mode", "fanout", "--conns", "2", "--window", str(window))
        yield f"pair, window {window}", deliveries(program, [near.port, far.port], both, seconds, arguments)
    arguments = ("--mode", "fanout", "--conns", str(FAR_CLIENTS), "--window", "1")
    ports = [near.port, *[far.port] * FAR_PORTS]
    yield "far, 1,000 clients", deliveries(program, ports, far.pids, seconds, arguments) / FAR_SHARE


def run(program: Path, contestants: Sequence[Contestant], rounds: int, seconds: int) -> list[Row]:
    """Every contestant in turn, again and again, so that a noisy minute hits all of them."""
    figures: dict[str, dict[str, list[float]]] = {}
    for number in range(1, rounds + 1):
        for contestant in contestants:
            print(f"round {number} of {rounds}: {contestant.name}", file=sys.stderr, flush=True)
            with Redis() as redis, pair(contestant, redis.url) as nodes:
                for meaning, figure in measure_pair(program, nodes, seconds):
                    figures.setdefault(meaning, {}).setdefault(contestant.name, []).append(figure)
            with Running(contestant) as alone:
                figure = deliveries(program, [alone.port], alone.pids, seconds, ONE_NODE)
                figures.setdefault("one node, 1,000 clients", {}).setdefault(contestant.name, []).append(figure)
    return [Row(meaning, found) for meaning, found in figures.items()]


def render(rows: Sequence[Row], rounds: int, seconds: int, missing: Sequence[Missing]) -> str:
    """The page."""
    names = list(rows[0].figures)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    machine = f"{platform.python_implementation()} {platform.python_version()}, {len(available())} cores"
    lines = [INTRODUCTION, f"{today}, {machine}; {rounds} rounds of {seconds} s.", ""]
    lines += [f"| workload | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {row.meaning} | {' | '.join(cell(row, name, names[0]) for name in names)} |" for row in rows]
    found = {row.meaning: row.figures[names[0]] for row in rows}
    ratio = statistics.median(found["far, 1,000 clients"]) / statistics.median(found["one node, 1,000 clients"])
    lines += ["", f"A delivery on the far node costs roomcast {ratio:.2f} times what it costs without a cluster.", ""]
    lines += [f"* Not measured, because it is not installed: {each.name} ({each.install})." for each in missing]
    return "\n".join(lines)


def cell(row: Row, name: str, first: str) -> str:
    """A figure, and its ratio to the first contestant's, round by round."""
    figures, mine = row.figures[name], row.figures[first]
    text = f"{statistics.median(figures):.2f} µs"
    if name == first:
        return f"**{text}**"
    ratios = [theirs / ours for theirs, ours in zip(figures, mine, strict=True)]
    return f"{text}<br>**×{statistics.median(ratios):.2f}** [{min(ratios):.2f}–{max(ratios):.2f}]"


def main() -> int:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often every server has its turn (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="how long a workload lasts (%(default)s)")
    parser.add_argument("--alone", action="store_true", help="roomcast only; the results are printed, not recorded")
    options = parser.parse_args()
    peers: list[Any] = [] if options.alone else [node("@socket.io/redis-adapter", "redis"), python_socketio()]
    missing = [each for each in peers if isinstance(each, Missing)]
    contestants = [ROOMCAST[0], *[each for each in peers if isinstance(each, Contestant)]]
    with tempfile.TemporaryDirectory() as folder:
        program = generator.build(Path(folder))["sioload"]
        rows = run(program, contestants, options.rounds, options.seconds)
    page = render(rows, options.rounds, options.seconds, missing)
    print(page)
    if not options.alone:
        RESULTS.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

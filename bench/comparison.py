"""Interleaved rounds: every server in turn, all workloads, again and again, so that a noisy minute hits all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from bench import generator
from bench.contestants import Contestant
from bench.processes import Running
from bench.workloads import Workload

Key = tuple[str, str]


class Measured(msgspec.Struct):
    """The figures and wall rates by (workload, contestant) and round, and what went wrong."""

    figures: dict[Key, dict[int, float]] = {}
    rates: dict[Key, dict[int, float]] = {}
    failures: list[str] = []

    def add(self, key: Key, round_: int, figure: float, rate: float) -> None:
        """Record one measurement."""
        self.figures.setdefault(key, {})[round_] = figure
        self.rates.setdefault(key, {})[round_] = rate

    def figure(self, workload: str, name: str) -> float | None:
        """The median of the rounds; None when no round gave a figure."""
        found = self.figures.get((workload, name))
        return statistics.median(found.values()) if found else None

    def rate(self, workload: str, name: str) -> float | None:
        """As :meth:`figure`, for the rate on the wall clock."""
        found = self.rates.get((workload, name))
        return statistics.median(found.values()) if found else None

    def ratio(self, workload: str, first: str, other: str) -> tuple[float, float, float] | None:
        """How many times the figure of ``first`` that of ``other`` is, round by round: median, least, greatest."""
        mine, theirs = self.figures.get((workload, first), {}), self.figures.get((workload, other), {})
        ratios = [theirs[round_] / figure for round_, figure in mine.items() if figure > 0 and round_ in theirs]
        return (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None


def measure(
    contestants: Sequence[Contestant],
    workloads: Sequence[Workload],
    program: Path,
    rounds: int,
    seconds: int,
    tell: Callable[[str], object],
) -> Measured:
    """Run everything; ``tell`` hears of the progress. A server that fails a workload is named in ``failures``."""
    measured = Measured()
    for number in range(1, rounds + 1):
        for contestant in contestants:
            tell(f"round {number} of {rounds}: {contestant.name}")
            with Running(contestant) as server:
                _measure_one(server, workloads, program, number, seconds, measured)
    return measured


def _measure_one(
    server: Running, workloads: Sequence[Workload], program: Path, round_: int, seconds: int, measured: Measured
) -> None:
    seen: dict[tuple[str, ...], dict[str, float]] = {}
    for workload in workloads:
        if workload.arguments not in seen:
            try:
                seen[workload.arguments] = generator.run(program, server, workload, seconds)
            except generator.GeneratorFailed as failure:
                measured.failures.append(str(failure).strip())
                continue
        fields = seen[workload.arguments]
        measured.add((workload.name, server.name), round_, fields[workload.figure], fields[workload.rate])

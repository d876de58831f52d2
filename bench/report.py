"""``bench/RESULTS.md``: what a run has found, and what may be concluded from it."""

from __future__ import annotations

import datetime
import platform
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench.comparison import Measured
from bench.contestants import Missing
from bench.mass_disconnect import BOUND, Stall
from bench.processes import available
from bench.workloads import Workload

RESULTS = Path(__file__).parent / "RESULTS.md"
# Of the sections that bench.wsgi and bench.brokers write, the last ones of the page.
WSGI_HEADING = "## WSGI"
BROKERS_HEADING = "## Brokers"

NEXT = "\n## "

INTRODUCTION = """\
# Results of `make bench`

The figures are processor time of the server per message (per connection; memory: resident set per connection), median
of the rounds. **×N is that server's figure divided by roomcast's**: above 1, roomcast needs less; in brackets the least
and the greatest of the rounds. **Only ratios within one run count.** Absolute figures depend on the machine and on what
else it does, and move by a factor of two within an hour; the rounds are interleaved, so this hits all servers alike.
"""


class Run(msgspec.Struct, frozen=True):
    """All that one run has to tell."""

    names: Sequence[str]
    workloads: Sequence[Workload]
    measured: Measured
    missing: Sequence[Missing]
    stalls: Sequence[Stall]
    rounds: int
    seconds: int
    load: float


def render(run: Run) -> str:
    """The whole page."""
    return "\n".join(
        [INTRODUCTION, *circumstances(run), "", *table(run), "", *_rates(run), *_stalls(run), *_notes(run)]
    )


def section(page: str, heading: str) -> str:
    """From its heading to the next one; empty if there is none yet."""
    _, found, rest = page.partition(f"{heading}\n")
    return f"{found}{rest.partition(NEXT)[0].rstrip()}\n" if found else ""


def with_section(page: str, heading: str, text: str) -> str:
    """The page with that section as it is now."""
    sections = {each: section(page, each) for each in (WSGI_HEADING, BROKERS_HEADING)}
    head = min((page.find(f"{each}\n") for each, found in sections.items() if found), default=len(page))
    sections[heading] = text
    return "\n".join([page[:head].rstrip() + "\n", *(found for found in sections.values() if found)])


def circumstances(run: Run) -> Iterator[str]:
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    yield (
        f"{today}, {python}, {platform.system()} {platform.machine()}, {len(available())} cores; "
        f"{run.rounds} round{'s' * (run.rounds > 1)} of {run.seconds} s, payload 100 bytes. "
        f"Load of the machine when it began: {run.load:.1f}."
    )


def table(run: Run) -> Iterator[str]:
    first = run.names[0]
    yield f"| workload | {' | '.join(run.names)} |"
    yield "|---" * (len(run.names) + 1) + "|"
    for workload in run.workloads:
        cells = [_cell(run.measured, workload, first, name) for name in run.names]
        yield f"| `{workload.name}`: {workload.meaning} | {' | '.join(cells)} |"


def _cell(measured: Measured, workload: Workload, first: str, name: str) -> str:
    figure = measured.figure(workload.name, name)
    if figure is None:
        return "failed"
    cell = f"{figure:.2f} {workload.unit}" if figure < 100 else f"{figure:,.0f} {workload.unit}"
    ratio = measured.ratio(workload.name, first, name)
    if name == first or ratio is None:
        return f"**{cell}**"
    return f"{cell}<br>**×{ratio[0]:.2f}** [{ratio[1]:.2f}–{ratio[2]:.2f}]"


def _rates(run: Run) -> Iterator[str]:
    yield "Messages (connections) per second on the wall clock, which the generator bounds too:"
    yield ""
    yield f"| workload | {' | '.join(run.names)} |"
    yield "|---" * (len(run.names) + 1) + "|"
    for workload in run.workloads:
        if workload.name != "memory":
            rates = [run.measured.rate(workload.name, name) for name in run.names]
            yield f"| `{workload.name}` | {' | '.join('failed' if r is None else f'{r:,.0f}' for r in rates)} |"
    yield ""


def _stalls(run: Run) -> Iterator[str]:
    if not run.stalls:
        return
    longest = [stall.longest * 1000 for stall in run.stalls]
    cpu = [stall.longest_cpu * 1000 for stall in run.stalls]
    seconds = statistics.median(stall.seconds for stall in run.stalls)
    yield "## Everybody leaves at once"
    yield ""
    yield (
        f"{run.stalls[0].clients:,} clients, each in a room and with a disconnect handler, vanish together. A task "
        f"inside the server that wants to run every millisecond was late by {statistics.median(longest):.1f} ms "
        f"at worst (median of {len(longest)} runs; {min(longest):.1f} to {max(longest):.1f} ms; the server's own "
        f"processor time in such a gap: {statistics.median(cpu):.1f} ms). All were forgotten {seconds:.1f} s later. "
        f"The bound is {BOUND * 1000:.0f} ms."
    )
    yield ""


def _notes(run: Run) -> Iterator[str]:
    for missing in run.missing:
        yield f"* Not measured, because it is not installed: {missing.name} ({missing.install})."
    for failure in run.measured.failures:
        yield f"* Failed: {failure.splitlines()[0]}"
    yield ""

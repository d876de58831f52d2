"""``python -m bench``: measure roomcast beside the peers that are installed, and write ``bench/RESULTS.md``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench import comparison, generator, mass_disconnect
from bench.contestants import PEER_FINDERS, ROOMCAST, ceiling, find_peers
from bench.report import BROKERS_HEADING, RESULTS, WSGI_HEADING, Run, render, section, with_section
from bench.workloads import chosen


def main() -> int:
    """Run everything that was asked for. Exit code 1 when something failed, 2 for wrong arguments."""
    options = _parser().parse_args()
    try:
        workloads = chosen(options.only)
        peers, missing = find_peers([name for name in options.peers.split(",") if name])
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    for each in missing:
        print(f"{each.name} is not measured: {each.install}", file=sys.stderr)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        programs = generator.build(Path(folder))
        contestants = [*ROOMCAST, *peers, ceiling(programs["ceiling"])]
        measured = comparison.measure(
            contestants, workloads, programs["sioload"], options.rounds, options.seconds, _tell
        )
        stalls = []
        if options.only is None:
            _tell("everybody leaves at once")
            stalls = [mass_disconnect.measure(programs["sioload"]) for _ in range(3)]
    names = [contestant.name for contestant in contestants]
    page = render(Run(names, workloads, measured, missing, stalls, options.rounds, options.seconds, load))
    print(page)
    if options.only is None:
        kept = RESULTS.read_text(encoding="utf-8") if RESULTS.is_file() else ""
        for heading in (WSGI_HEADING, BROKERS_HEADING):
            page = with_section(page, heading, section(kept, heading))
        RESULTS.write_text(page, encoding="utf-8")
    for failure in measured.failures:
        print(failure, file=sys.stderr)
    return int(bool(measured.failures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=5, help="how often every server has its turn (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=int, default=3, help="how long a workload lasts (default: %(default)s)")
    parser.add_argument("--only", help="beginnings of workload names, by commas; the results are printed, not recorded")
    parser.add_argument(
        "--peers", default=",".join(PEER_FINDERS), help="the peers to measure beside roomcast (default: %(default)s)"
    )
    return parser


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

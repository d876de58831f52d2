"""``python -m bench.wsgi``: roomcast's blocking server and python-socketio's, under gunicorn with threads and gevent.

Writes the section "WSGI" of ``bench/RESULTS.md``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench import comparison, generator
from bench.contestants import Contestant
from bench.report import RESULTS, WSGI_HEADING, Run, circumstances, table, with_section
from bench.workloads import Workload, chosen

# 5,000 clients at once, as "connect" and "memory" have, would be 5,000 threads of python-socketio; and it handles each
# event without acknowledgement ("sink") in a thread of its own, whose time nobody can read when it has ended.
WORKLOADS = "fanout,echo"
GUNICORN = (sys.executable, "-m", "gunicorn", "--workers", "1", "--no-control-socket", "--bind", "127.0.0.1:{port}")
OURS, THEIRS = "bench.wsgi_app:app", "bench.peers.pysio_wsgi_app:app"
THREADS = (
    Contestant("roomcast, 20 threads", (*GUNICORN, "--threads", "20", OURS)),
    Contestant("python-socketio, 1,100 threads", (*GUNICORN, "--threads", "1100", THEIRS)),
)
GEVENT = (
    Contestant("roomcast, gevent", (*GUNICORN, "-k", "gevent", "--worker-connections", "2000", OURS)),
    Contestant("python-socketio, gevent", (*GUNICORN, "-k", "gevent", "--worker-connections", "2000", THEIRS)),
)
INTRODUCTION = """\
`Server` and python-socketio's, each under `gunicorn --workers 1`, figures as above: processor time of the server per
message, **×N is that server's figure divided by roomcast's**. python-socketio holds a thread for each of the 1,000
clients, so it has more of them than clients; roomcast has the 20 that its documentation names. Where one event goes to
1,000 clients at a time, 85 % of roomcast's time under gevent is the kernel's, in the one `send` that each client needs
(`perf record`): a server that did nothing else would be no more than a sixth better.
"""


def render(
    workloads: tuple[Workload, ...], measured: comparison.Measured, options: argparse.Namespace, load: float
) -> str:
    """The section of the page: a table for each kind of worker, whose figures are compared with each other."""
    lines = [WSGI_HEADING, "", INTRODUCTION]
    for number, pair in enumerate((THREADS, GEVENT)):
        names = [contestant.name for contestant in pair]
        run = Run(names, workloads, measured, (), (), options.rounds, options.seconds, load)
        lines += ["" if number else "\n".join([*circumstances(run), ""]), *table(run)]
    return "\n".join([*lines, ""])


def main() -> int:
    """Measure, print and record. Exit code 1 when something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench.wsgi", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often every server has its turn (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3, help="how long a workload lasts (%(default)s)")
    parser.add_argument("--only", help="beginnings of workload names, by commas; the results are printed, not recorded")
    options = parser.parse_args()
    workloads, load = chosen(options.only or WORKLOADS), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        program = generator.build(Path(folder))["sioload"]
        measured = comparison.measure([*THREADS, *GEVENT], workloads, program, options.rounds, options.seconds, _tell)
    text = render(workloads, measured, options, load)
    print(text)
    if options.only is None:
        page = RESULTS.read_text(encoding="utf-8")
        RESULTS.write_text(with_section(page, WSGI_HEADING, text), encoding="utf-8")
    for failure in measured.failures:
        print(failure, file=sys.stderr)
    return int(bool(measured.failures))


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

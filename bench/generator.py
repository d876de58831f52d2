"""The load generator: compiled from C when a run begins, driven by its command line, answering in lines of JSON."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from bench.processes import Running, pinned
from bench.workloads import Workload

SOURCES = Path(__file__).parent / "load"
PATIENCE = 200.0


class GeneratorFailed(RuntimeError):
    """It ended with an error, or messages were lost; the text is what it wrote."""


def build(folder: Path) -> dict[str, Path]:
    """Compile both C programs into a folder: ``sioload`` and ``ceiling``. FileNotFoundError without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise FileNotFoundError("a C compiler is needed for the load generator (apt install gcc libc6-dev)")
    programs = {name: folder / name for name in ("sioload", "ceiling")}
    for name, program in programs.items():
        subprocess.run([compiler, "-O2", "-o", str(program), str(SOURCES / f"{name}.c")], check=True)
    return programs


def command(program: Path, server: Running, seconds: int, arguments: tuple[str, ...]) -> list[str]:
    """How the generator is started against a server, on the processor that the server does not have."""
    pids = ",".join(map(str, server.pids))
    line = [str(program), "--port", str(server.port), "--pid", pids, "--seconds", str(seconds), *arguments]
    return pinned(1, line)


def run(program: Path, server: Running, workload: Workload, seconds: int) -> dict[str, Any]:
    """One measurement: the fields of all lines that the generator wrote."""
    line = command(program, server, seconds if workload.lasting else 1, workload.arguments)
    return measure(line, f"{workload.name} against {server.name}")


def measure(line: list[str], what: str) -> dict[str, Any]:
    """Run the generator with a whole command line; ``what`` is named when it fails."""
    done = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=False)
    fields: dict[str, Any] = {}
    for written in done.stdout.splitlines():
        fields |= msgspec.json.decode(written)
    if done.returncode or fields.get("lost") or fields.get("failed"):
        raise GeneratorFailed(f"{what}: {done.stdout}{done.stderr}")
    return fields

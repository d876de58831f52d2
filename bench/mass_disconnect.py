"""5,000 connected clients vanish at once: how long does the server's loop stand still?

    python -m bench.mass_disconnect

The generator connects them and ends, so that the kernel closes all of their connections together. The stall is measured
inside the server (:mod:`bench.stall_app`).
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import msgspec

from bench import generator
from bench.contestants import Contestant
from bench.processes import HOST, Running

CLIENTS = 5_000
# The promise: nobody else on the node waits longer than this (seconds).
BOUND = 0.050
PATIENCE = 60.0

SERVER = Contestant(
    "roomcast",
    (
        sys.executable,
        "-m",
        "roomcast",
        "run",
        "bench.stall_app:app",
        "--port",
        "{port}",
        "--log-level",
        "error",
        "--drain-delay",
        "0",
    ),
)


class State(msgspec.Struct):
    """What the server tells: sessions, disconnect handlers that ran, stalls in seconds."""

    clients: int
    left: int
    longest: float
    longest_cpu: float


class Stall(msgspec.Struct, frozen=True):
    """The longest stall while so many clients left, its processor time, and how long it took until all had left."""

    clients: int
    longest: float
    longest_cpu: float
    seconds: float


def ask(server: Running, query: str = "") -> State:
    """The server's state at this moment."""
    with urllib.request.urlopen(f"http://{HOST}:{server.port}/{query}", timeout=PATIENCE) as answer:
        return msgspec.json.decode(answer.read(), type=State)


def measure(program: Path, clients: int = CLIENTS) -> Stall:
    """One measurement on a server of its own. TimeoutError when a client does not connect, or is never forgotten."""
    with Running(SERVER) as server:
        arguments = ("--mode", "idle", "--conns", str(clients))
        load = subprocess.Popen(
            generator.command(program, server, round(PATIENCE), arguments), stdout=subprocess.PIPE, text=True
        )
        assert load.stdout is not None
        connected = msgspec.json.decode(load.stdout.readline())
        if connected.get("ready") != clients:
            load.kill()
            raise TimeoutError(f"not all clients connected: {connected}")
        ask(server, "?reset")
        load.send_signal(signal.SIGKILL)
        began = time.monotonic()
        load.wait()
        while (state := ask(server)).clients or state.left < clients:
            if time.monotonic() - began > PATIENCE:
                raise TimeoutError(f"{state.clients} sessions are left, {state.left} handlers ran")
            time.sleep(0.05)
        took = time.monotonic() - began
    return Stall(clients, state.longest, state.longest_cpu, took)


def main() -> int:
    """Measure a few times; exit code 1 when the promise is broken every time."""
    parser = argparse.ArgumentParser(prog="python -m bench.mass_disconnect", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = generator.build(Path(folder))["sioload"]
        stalls = [measure(program, options.clients) for _ in range(options.rounds)]
    for stall in stalls:
        print(
            f"{stall.clients} clients gone within {stall.seconds:.2f} s; longest stall {stall.longest * 1000:.1f} ms, "
            f"with {stall.longest_cpu * 1000:.1f} ms of processor time"
        )
    return int(min(stall.longest for stall in stalls) > BOUND)


if __name__ == "__main__":
    sys.exit(main())

"""Who takes part: roomcast in both of its ways, and the peers that are installed. Nothing is ever downloaded here."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

PEERS = Path(__file__).parent / "peers"

# {port} is filled in when the server is started.
Command = tuple[str, ...]


class Contestant(msgspec.Struct, frozen=True):
    """A server that answers the three events on 127.0.0.1; ``command`` starts it."""

    name: str
    command: Command


class Missing(msgspec.Struct, frozen=True):
    """A peer that is not installed; ``install`` is a sentence that says how to get it."""

    name: str
    install: str


UVICORN = (sys.executable, "-m", "uvicorn", "--port", "{port}", "--log-level", "error", "--loop", "uvloop")

ROOMCAST = (
    Contestant(
        "roomcast",
        (
            sys.executable,
            "-m",
            "roomcast",
            "run",
            "bench.app:app",
            "--port",
            "{port}",
            "--log-level",
            "error",
            "--drain-delay",
            "0",
        ),
    ),
    Contestant("roomcast, plain ASGI", (*UVICORN, "--ws", "websockets-sansio", "bench.app:app")),
)


def node(*packages: str) -> Contestant | Missing:
    """Node's own server, from ``bench/peers/node_modules`` or where NODE_PATH says; ``packages`` are needed too."""
    program = shutil.which("node")
    if program is None:
        return Missing("node", "Node is not installed (apt install nodejs npm)")
    wanted = ";".join(f"require.resolve('{package}')" for package in ("socket.io", *packages))
    found = subprocess.run([program, "-e", wanted], cwd=PEERS, capture_output=True, check=False)
    if found.returncode:
        return Missing("node", "npm install --no-package-lock in bench/peers, or set NODE_PATH")
    return Contestant("node", (program, str(PEERS / "node_app.js"), "{port}"))


def python_socketio() -> Contestant | Missing:
    """The server whose public API roomcast has."""
    if importlib.util.find_spec("socketio") is None:
        return Missing("python-socketio", "make setup")
    return Contestant("python-socketio", (*UVICORN, "bench.peers.pysio_app:app"))


def rust() -> Contestant | Missing:
    """socketioxide, built by hand; cargo's own variable says where the result is when it is not beside the source."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or PEERS / "rust_app" / "target")
    program = target / "release" / "rust_app"
    if not program.is_file():
        return Missing("rust", "cargo build --release in bench/peers/rust_app, or set CARGO_TARGET_DIR")
    return Contestant("rust", (str(program), "{port}"))


def ceiling(program: Path) -> Contestant:
    """The C server that does about the least possible."""
    return Contestant("C ceiling", (str(program), "{port}"))


PEER_FINDERS: dict[str, Callable[[], Contestant | Missing]] = {
    "node": node,
    "python-socketio": python_socketio,
    "rust": rust,
}


def find_peers(names: Sequence[str]) -> tuple[list[Contestant], list[Missing]]:
    """The peers of these names that can be started, and those that cannot. ValueError for a name that is none."""
    unknown = [name for name in names if name not in PEER_FINDERS]
    if unknown:
        raise ValueError(f"unknown peer {', '.join(unknown)}; there are {', '.join(PEER_FINDERS)}")
    found = [PEER_FINDERS[name]() for name in names]
    return (
        [each for each in found if isinstance(each, Contestant)],
        [each for each in found if isinstance(each, Missing)],
    )

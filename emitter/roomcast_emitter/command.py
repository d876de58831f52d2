"""``roomcast emit EVENT [JSON …]``: emit one event from the shell, and say what became of it.

Each JSON text is one argument of the event; ``-`` stands for standard input, which no list of processes shows.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from roomcast_brokers.addressing import Room
from roomcast_brokers.channels import DEFAULT_CLUSTER
from roomcast_brokers.errors import BrokerError
from roomcast_emitter.emitter import Emitter
from roomcast_emitter.environment import BROKER_VARIABLE, CLUSTER_VARIABLE, KEYS_VARIABLE, read
from roomcast_emitter.errors import EmitterError
from roomcast_emitter.receipts import Outcome
from roomcast_emitter.terms import EXIT_SECONDS

# Exit codes.
DELIVERED: Final = 0
NOT_DELIVERED: Final = 1
WRONG_USE: Final = 2

_SAID = {
    Outcome.DELIVERED: "delivered to the broker",
    Outcome.DROPPED: "not delivered: the broker was away",
    Outcome.UNCONFIRMED: "not confirmed: the broker went away meanwhile, it may have arrived",
}


class WrongUseError(EmitterError):
    """What was typed makes no sense; the message says what would."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("event", metavar="EVENT", help="the event's name")
    parser.add_argument("data", metavar="JSON", nargs="*", help="its arguments, each a JSON text; - is standard input")
    parser.add_argument("--to", metavar="ROOM", action="append", help="a room or a sid; repeat it for several")
    parser.add_argument("--to-number", metavar="ROOM", type=int, action="append", help="a room whose name is a number")
    parser.add_argument("--all", action="store_true", help="to everybody in the namespace")
    parser.add_argument("--skip-sid", metavar="SID", action="append", help="but not to this client; repeatable")
    parser.add_argument("--namespace", default="/", help="default: %(default)s")
    parser.add_argument("--url", help=f"the broker (default: ${BROKER_VARIABLE}, where nobody else sees a password)")
    parser.add_argument("--cluster", help=f"default: ${CLUSTER_VARIABLE}, else {DEFAULT_CLUSTER}")
    parser.add_argument("--key-file", metavar="FILE", type=Path, help=f"the key that signs (default: ${KEYS_VARIABLE})")
    parser.add_argument("--volatile", action="store_true", help="drop it for clients that are behind")
    parser.add_argument(
        "--wait", metavar="SECONDS", type=float, default=EXIT_SECONDS, help="for a broker that is away (%(default)s)"
    )


def run(
    arguments: argparse.Namespace,
    environment: Mapping[str, str] = os.environ,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
) -> int:
    """Emit; returns the exit code: 0 delivered to the broker, 1 not, 2 wrong use."""
    try:
        target = _target(arguments)
        data = _data(arguments.data, stdin or sys.stdin)
        with _emitter(arguments, environment) as emitter:
            receipt = emitter.emit(
                arguments.event,
                data,
                to=target,
                skip_sid=arguments.skip_sid,
                namespace=arguments.namespace,
                volatile=arguments.volatile,
            )
            receipt.wait(arguments.wait)
        outcome = receipt.wait()  # it has ended with the emitter
    except (BrokerError, EmitterError, ValueError, TypeError, OSError) as error:
        (stderr or sys.stderr).write(f"roomcast emit: {error}\n")
        return WRONG_USE
    whom = "everybody" if target is None else ", ".join(map(str, target))
    line = f"{_SAID[outcome]}: {arguments.event} to {whom} in {arguments.namespace}\n"
    if outcome is Outcome.DELIVERED:
        (stdout or sys.stdout).write(line)
        return DELIVERED
    (stderr or sys.stderr).write(line)
    return NOT_DELIVERED


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m roomcast_emitter``, where the command ``roomcast`` is not installed."""
    parser = argparse.ArgumentParser(prog="python -m roomcast_emitter", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


def _emitter(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Emitter:
    said = {BROKER_VARIABLE: arguments.url, CLUSTER_VARIABLE: arguments.cluster}
    found = read({**environment, **{name: value for name, value in said.items() if value}})
    keys = found.keys if arguments.key_file is None else [arguments.key_file.read_bytes().strip()]
    if arguments.wait <= 0:
        return Emitter(found.url, found.cluster, keys, on_failure="drop")
    return Emitter(found.url, found.cluster, keys, max_buffer_seconds=arguments.wait)


def _target(arguments: argparse.Namespace) -> tuple[Room, ...] | None:
    """Whom it is for. That it is for everybody has to be said: a variable of a script may be empty."""
    names: tuple[Room, ...] = (*(arguments.to or ()), *(arguments.to_number or ()))
    if bool(names) == arguments.all:
        raise WrongUseError("to whom? Say --to ROOM, or --all for everybody in the namespace")
    return None if arguments.all else names


def _data(texts: Sequence[str], stdin: TextIO) -> tuple[Any, ...]:
    arguments = []
    for number, text in enumerate(texts, 1):
        try:
            arguments.append(msgspec.json.decode(stdin.read() if text == "-" else text))
        except msgspec.DecodeError as error:
            raise WrongUseError(f"argument {number} is no JSON: {error}; a text needs quotes: '\"hello\"'") from error
    return tuple(arguments)

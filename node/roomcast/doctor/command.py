"""``roomcast doctor URL``: look at a deployment from outside, as its clients see it, and say what is wrong.

Nothing has to be installed there, and the application need not know of it: the doctor opens sessions and WebSockets
through whatever stands in front of the nodes, watches some of them over two ping intervals, and goes away. With a
broker it also hears which nodes are on it, and emits an event to clients of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from roomcast.doctor import report
from roomcast.doctor.findings import Finding, exit_code
from roomcast.doctor.options import Options, read_auth, read_headers, read_namespace, read_origins
from roomcast.doctor.target import DEFAULT_PATH, parse_target
from roomcast.doctor.timing import DEFAULT_WAIT, longest
from roomcast.doctor.wording import duration
from roomcast.errors import SettingsError
from roomcast_brokers.channels import DEFAULT_CLUSTER, check_cluster
from roomcast_brokers.errors import BrokerError
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.registry import create, scheme_of
from roomcast_emitter.environment import BROKER_VARIABLE, CLUSTER_VARIABLE, KEYS_VARIABLE, split_keys

ALONE: Final = "memory"  # within one process: nobody hears it from outside


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("url", metavar="URL", help="what clients are given, e.g. https://chat.example.com")
    parser.add_argument("--path", help=f"the path of Socket.IO, unless it is in the URL (default: {DEFAULT_PATH})")
    parser.add_argument("--namespace", default="/", help="the namespace that clients join (default: %(default)s)")
    parser.add_argument("--auth", metavar="JSON", help="what they say to be let in, an object; - is standard input")
    parser.add_argument("--serializer", choices=("default", "msgpack"), default="default", help="as the server has it")
    parser.add_argument(
        "--origin",
        metavar="ORIGIN",
        action="append",
        default=[],
        help="where pages come from; repeatable (default: URL)",
    )
    parser.add_argument(
        "--header", metavar="NAME:VALUE", action="append", default=[], help="for every request, if a proxy wants it"
    )
    parser.add_argument("--ca", metavar="FILE", type=Path, help="certificate of an authority of your own")
    parser.add_argument(
        "--broker", metavar="URL", help=f"look at the way through it, too (default: ${BROKER_VARIABLE}, else not)"
    )
    parser.add_argument("--cluster", metavar="NAME", help=f"default: ${CLUSTER_VARIABLE}, else {DEFAULT_CLUSTER}")
    parser.add_argument("--key-file", metavar="FILE", type=Path, help=f"the key that signs (default: ${KEYS_VARIABLE})")
    parser.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=DEFAULT_WAIT,
        help="watch idle connections for two ping intervals, but no longer than this (default: %(default)g)",
    )
    parser.add_argument("--quick", action="store_true", help="do not watch idle connections")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.epilog = "Exit code: 0 all is well, 1 there are warnings, 2 something is wrong (or the command line is)."


def run(
    arguments: argparse.Namespace,
    environment: Mapping[str, str] = os.environ,
    stdin: TextIO | None = None,
    stdout: TextIO | None = None,
) -> int:
    """Look at it; returns the exit code. Raises SettingsError for what cannot be looked at."""
    # Needs websockets and the emitter, which nobody pays for who only starts a node.
    from roomcast.doctor.examination import examine

    options = read(arguments, environment, stdin or sys.stdin)
    out = stdout or sys.stdout
    most = longest(wait=options.wait, quick=options.quick, broker=options.broker is not None)
    findings: list[Finding] = []

    def tell(finding: Finding) -> None:
        findings.append(report.without(finding, options.secrets))
        if not arguments.json:
            out.write(report.line(findings[-1]))
            out.flush()

    if not arguments.json:
        out.write(f"roomcast doctor {options.target.shown} takes {duration(most)} at most\n")
        out.flush()
    begin = time.monotonic()
    asyncio.run(examine(options, tell, most))
    if arguments.json:
        out.write(report.as_json(options.target.shown, findings, time.monotonic() - begin))
    else:
        out.write(report.closing(findings))
    return exit_code(findings)


def read(arguments: argparse.Namespace, environment: Mapping[str, str], stdin: TextIO) -> Options:
    """The options of a command line. Raises SettingsError, which repeats no secret."""
    if not arguments.wait > 0:
        raise SettingsError("--wait: seconds, above 0; --quick does not watch at all")
    broker = arguments.broker or environment.get(BROKER_VARIABLE) or None
    cluster = arguments.cluster or environment.get(CLUSTER_VARIABLE) or DEFAULT_CLUSTER
    try:
        keys = tuple(split_keys(environment.get(KEYS_VARIABLE, "")))
        if arguments.key_file is not None:
            keys = (arguments.key_file.read_bytes().strip(),)
        _check_broker(broker, cluster, keys)
        if arguments.ca is not None:
            arguments.ca.read_bytes()
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}") from error
    auth = stdin.read() if arguments.auth == "-" else arguments.auth
    return Options(
        target=parse_target(arguments.url, arguments.path),
        namespace=read_namespace(arguments.namespace),
        auth=read_auth(auth),
        serializer=arguments.serializer,
        origins=read_origins(arguments.origin),
        headers=read_headers(arguments.header),
        authority=arguments.ca,
        broker=broker,
        cluster=cluster,
        keys=keys,
        wait=arguments.wait,
        quick=arguments.quick,
    )


def _check_broker(url: str | None, cluster: str, keys: tuple[str | bytes, ...]) -> None:
    """Raise SettingsError for what can never work."""
    try:
        check_cluster(cluster)
        if keys:
            KeyRing(keys)
        if url is None:
            return
        if scheme_of(url) == ALONE:
            raise SettingsError(f"--broker: {ALONE}:// is within one process, and cannot be looked at from outside")
        create(url, distribution="roomcast")
    except BrokerError as error:
        raise SettingsError(f"--broker: {error}") from error

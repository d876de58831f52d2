"""``roomcast up MODULE:APP --nodes N``: put together what supervises the nodes, and run it."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from roomcast.errors import SettingsError
from roomcast.supervision.embedded import embedded_broker
from roomcast.supervision.plans import NodePlan, make_plans, make_tags, run_arguments
from roomcast.supervision.ports import find_ports
from roomcast.supervision.probing import probe
from roomcast.supervision.processes import start_node
from roomcast.supervision.screen import LiveScreen, PlainScreen, Screen
from roomcast.supervision.status import why_it_ended
from roomcast.supervision.supervisor import Supervisor
from roomcast_brokers.errors import BrokerError
from roomcast_brokers.registry import create, scheme_of
from roomcast_emitter.environment import BROKER_VARIABLE, CLUSTER_VARIABLE

# Kept within one process, and so of no use to several.
ALONE = "memory"


def up(arguments: argparse.Namespace) -> int:
    """Run the nodes until told to stop; returns the exit code. Raises :class:`SettingsError` before anything starts."""
    if sys.platform == "win32":
        raise SettingsError("roomcast up needs the signals and sockets of Unix; start each node with roomcast run")
    options = vars(arguments)
    tags = make_tags(arguments.nodes, arguments.tags)
    if arguments.metrics_port < 0:
        raise SettingsError("--metrics-port: roomcast up reads the metrics of its nodes, and needs a port for each")
    ports, metrics_ports = find_ports(
        arguments.host, arguments.port, arguments.metrics_host, arguments.metrics_port, arguments.nodes
    )
    plans = make_plans(tags, ports, metrics_ports, options)
    with _broker(arguments.broker or os.environ.get(BROKER_VARIABLE)) as (url, name):
        supervisor = _supervisor(plans, options, _environment(url, arguments.cluster), name)
        code = asyncio.run(supervisor.run())
    if supervisor.failure is not None:
        sys.stderr.write(f"roomcast: {why_it_ended(*supervisor.failure)}\n")
    return code


def _supervisor(
    plans: list[NodePlan], options: Mapping[str, Any], environment: Mapping[str, str], broker: str
) -> Supervisor:
    screen = make_screen(sys.stdout, [plan.number for plan in plans], os.environ)
    places = ", ".join(plan.url for plan in plans)
    count = "1 node" if len(plans) == 1 else f"{len(plans)} nodes"
    screen.log(None, [f"{count} of {options['app']} on {places}; {broker}"])

    async def launch(plan: NodePlan) -> Any:
        return await start_node(run_arguments(plan, options), environment)

    return Supervisor(
        plans,
        options["drain_delay"] + options["drain_seconds"],
        screen,
        broker,
        launch,
        lambda plan: probe(plan.metrics_host, plan.metrics_port),
    )


@contextmanager
def _broker(url: str | None) -> Iterator[tuple[str, str]]:
    """The URL of the broker, and what people call it. What can never work raises :class:`SettingsError`."""
    if url is None or not url.strip():
        with embedded_broker() as embedded:
            yield embedded, "embedded broker"
        return
    try:
        scheme = scheme_of(url)
        create(url, distribution="roomcast")
    except BrokerError as error:
        raise SettingsError(f"--broker: {error}") from error
    if scheme == ALONE:
        raise SettingsError(f"--broker: {ALONE}:// is for one process; without --broker there is one for several")
    yield url, f"broker {scheme}://"  # no more of it: it may hold a password


def _environment(url: str, cluster: str | None) -> dict[str, str]:
    """The nodes' environment: ours, and what joins them. What they print is to be seen when they print it."""
    found = {**os.environ, BROKER_VARIABLE: url, "PYTHONUNBUFFERED": "1"}
    return found if cluster is None else {**found, CLUSTER_VARIABLE: cluster}


def make_screen(stream: TextIO, numbers: list[int], environment: Mapping[str, str]) -> Screen:
    """The screen that fits the stream: a terminal that can move its cursor, or anything else."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # whatever a node writes can be shown somehow
    if not stream.isatty() or environment.get("TERM", "dumb") == "dumb":
        return PlainScreen(stream, numbers)
    return LiveScreen(stream, numbers, shutil.get_terminal_size, colours=not environment.get("NO_COLOR"))

"""``roomcast run module:app``: an ASGI application on uvicorn and uvloop, with Socket.IO on the fast path.

Sane production settings: uvloop and httptools, no access log, a deep accept queue, as many open files as the system
allows, metrics and health on a listener of their own, and a garbage collector that does not scan idle clients over and
over.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence

import uvicorn

from roomcast import __version__
from roomcast.doctor import command as doctor_command
from roomcast.drivers.asyncio.run_logging import log_config
from roomcast.drivers.asyncio.run_server import RunServer
from roomcast.engineio.sid import check_tag
from roomcast.environment import TAG_VARIABLE
from roomcast.errors import RoomcastError
from roomcast.metrics_port import DEFAULT_PORT
from roomcast.settings import Settings
from roomcast.supervision.command import up
from roomcast.supervision.leash import follow_standard_input
from roomcast_emitter import command as emit_command
from roomcast_emitter.environment import BROKER_VARIABLE, CLUSTER_VARIABLE

# Young objects to collect after: a connection allocates a hundred containers that live, so the default (700) would look
# at all of them after every seven connections.
GC_THRESHOLDS = (50_000, 20, 50)
# Connections that wait to be accepted: a burst of reconnecting clients must not see refusals.
BACKLOG = 4_096
# Seconds for which an idle connection is kept for the next request: longer than balancers keep theirs (nginx and others
# 60 s). Whoever sends must be the first to close; otherwise a request now and then meets a connection that is just
# being closed, and nobody knows whether it was taken.
KEEP_ALIVE = 75
# What an application's server is set to unless it says otherwise.
DEFAULTS = Settings()

UP_DESCRIPTION = """\
Start several nodes of one application on this machine, as one cluster:

  roomcast up chat:app --nodes 4                             ports 8000 to 8003, nothing else to install or start
  roomcast up chat:app --nodes 4 --broker redis://localhost  the same through Redis, where nodes of other machines are

Each node is a `roomcast run` on a port of its own, for a balancer in front that keeps a client on its node. What is
emitted on one reaches the clients of all. The embedded broker needs the extra `zmq`: pip install 'roomcast[zmq]'.

A node that ends is started again, under the same tag and on the same ports; one that ends again and again before it
serves ends the command. On a terminal the last lines show how each node stands, anywhere else each change is a line.
Ctrl-C or SIGTERM drains all nodes and ends with 0; a second time kills them. No node outlives the command.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The command's entry; returns its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return COMMANDS[arguments.command](arguments)
    except RoomcastError as error:
        sys.stderr.write(f"roomcast: {error}\n")
        return 2
    except KeyboardInterrupt:  # the second one: nobody was waited for
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="roomcast", description="A Socket.IO server that is a cluster.")
    parser.add_argument("--version", action="version", version=f"roomcast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_run(commands.add_parser("run", help="serve an ASGI application", description=__doc__))
    _add_up(
        commands.add_parser(
            "up",
            help="serve it with several nodes on this machine",
            description=UP_DESCRIPTION,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    emit = commands.add_parser("emit", help="emit one event from the shell", description=emit_command.__doc__)
    emit_command.add_arguments(emit)
    doctor_command.add_arguments(
        commands.add_parser("doctor", help="say what is wrong with a deployment", description=doctor_command.__doc__)
    )
    return parser


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("app", metavar="MODULE:APP", help="where the application is, e.g. chat:app")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument("--port", type=int, default=8000, help="port to listen on (default: %(default)s)")
    command.add_argument("--uds", metavar="PATH", help="listen on a Unix socket instead")
    command.add_argument("--fd", type=int, help="listen on an inherited socket instead")
    command.add_argument("--tag", help=f"this node's name, 4 characters (default: ${TAG_VARIABLE}, else a random one)")
    command.add_argument(
        "--metrics-port",
        type=int,
        default=DEFAULT_PORT,
        help="port of /metrics, /healthz, /readyz, or the next free one; -1 = none (default: %(default)s)",
    )
    command.add_argument(
        "--metrics-port-fixed", action="store_true", help="that port or none: do not start if it is taken"
    )
    command.add_argument(
        "--stop-at-eof",
        action="store_true",
        help="stop, as after SIGTERM, when standard input ends: when the program that started this one is gone",
    )
    _add_shared(command)
    _add_draining(
        command,
        (None, f"the application's setting, {DEFAULTS.drain_delay_seconds:g}"),
        (None, f"the application's setting, {DEFAULTS.drain_seconds:g}"),
    )


def _add_up(command: argparse.ArgumentParser) -> None:
    command.add_argument("app", metavar="MODULE:APP", help="where the application is, e.g. chat:app")
    command.add_argument(
        "--nodes", metavar="N", type=int, default=2, help="how many; one per processor at most (default: %(default)s)"
    )
    command.add_argument(
        "--broker", metavar="URL", help=f"e.g. redis://localhost (default: ${BROKER_VARIABLE}, else an embedded one)"
    )
    command.add_argument("--cluster", metavar="NAME", help=f"the cluster they join (default: ${CLUSTER_VARIABLE})")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    command.add_argument(
        "--port",
        type=int,
        default=8000,
        help="port of the first node, the others take those after it; 0 = any free ones (default: %(default)s)",
    )
    command.add_argument("--tags", metavar="TAG,...", help="the nodes' names, 4 characters each (default: random ones)")
    command.add_argument(
        "--metrics-port",
        type=int,
        default=DEFAULT_PORT,
        help="from here on each node takes a free one for /metrics, /healthz, /readyz (default: %(default)s)",
    )
    _add_shared(command)
    # Most who run all nodes on one machine have no balancer whose checks would have to be waited for.
    _add_draining(command, (0.0, "0"), (DEFAULTS.drain_seconds, f"{DEFAULTS.drain_seconds:g}"))


def _add_shared(command: argparse.ArgumentParser) -> None:
    """The options that ``up`` passes on to its nodes (:data:`roomcast.supervision.plans.PASSED`)."""
    command.add_argument("--app-dir", default="", help="folder to import the application from (default: here)")
    command.add_argument("--factory", action="store_true", help="APP is a function that makes the application")
    command.add_argument("--root-path", default="", help="path prefix that a proxy has cut off")
    command.add_argument("--ssl-certfile", help="TLS certificate")
    command.add_argument("--ssl-keyfile", help="TLS key")
    command.add_argument("--forwarded-allow-ips", help="proxies whose X-Forwarded-* are believed (default: 127.0.0.1)")
    command.add_argument("--log-level", default="info", choices=list(uvicorn.config.LOG_LEVELS))
    command.add_argument("--access-log", action="store_true", help="log every request (with its query string)")
    command.add_argument("--metrics-host", default="127.0.0.1", help="address of the metrics (default: %(default)s)")


def _add_draining(
    command: argparse.ArgumentParser, delay: tuple[float | None, str], spread: tuple[float | None, str]
) -> None:
    """The two times of a stop, each with its default and how people read that."""
    command.add_argument(
        "--drain-delay",
        metavar="SECONDS",
        type=_seconds,
        default=delay[0],
        help="time to serve on after SIGTERM, with /readyz red, until balancers have seen it; longer than two of their "
        f"checks (default: {delay[1]})",
    )
    command.add_argument(
        "--drain-seconds",
        metavar="SECONDS",
        type=_seconds,
        default=spread[0],
        help=f"time over which clients are told to move after that (default: {spread[1]})",
    )


def _seconds(text: str) -> float:
    """A time that can be waited for."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds, 0 or more, not {text!r}")
    return seconds


def _longest_stop(arguments: argparse.Namespace) -> float:
    """How long draining may take, as far as that is known before the application is there."""
    delay, seconds = arguments.drain_delay, arguments.drain_seconds
    return float(
        (DEFAULTS.drain_delay_seconds if delay is None else delay)
        + (DEFAULTS.drain_seconds if seconds is None else seconds)
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop; returns the exit code."""
    if arguments.stop_at_eof:
        follow_standard_input(_longest_stop(arguments))
    sys.path.insert(0, arguments.app_dir or os.getcwd())
    if arguments.tag is not None:  # the application builds its own server, and that looks here
        os.environ[TAG_VARIABLE] = check_tag(arguments.tag, "--tag")
    config = uvicorn.Config(
        arguments.app,
        host=arguments.host,
        port=arguments.port,
        uds=arguments.uds,
        fd=arguments.fd,
        factory=arguments.factory,
        loop="auto",
        http="httptools",
        ws="roomcast.drivers.asyncio.uvicorn:SocketIOProtocol",
        log_level=arguments.log_level,
        log_config=log_config(arguments.log_level),
        access_log=arguments.access_log,
        root_path=arguments.root_path,
        ssl_certfile=arguments.ssl_certfile,
        ssl_keyfile=arguments.ssl_keyfile,
        forwarded_allow_ips=arguments.forwarded_allow_ips,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        server_header=False,
    )
    raise_open_files()
    gc.set_threshold(*GC_THRESHOLDS)
    metrics = None if arguments.metrics_port < 0 else (arguments.metrics_host, arguments.metrics_port)
    server = RunServer(
        config, metrics, arguments.drain_seconds, arguments.metrics_port_fixed, drain_delay=arguments.drain_delay
    )
    server.run()
    if server.failure is not None:
        raise server.failure
    return 0 if server.started else 3


def raise_open_files() -> None:
    """Use as many file descriptors as the system lets this process have: each client is one."""
    try:
        import resource
    except ImportError:  # Windows
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            logging.getLogger("roomcast").warning("the limit of open files stays at %d", soft)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": run,
    "up": up,
    "emit": emit_command.run,
    "doctor": doctor_command.run,
}

"""Ports that are free, found before any node starts: a taken one is a sentence now, not a traceback of some node."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import Final

from roomcast.errors import SettingsError

# As far as a free port for metrics is looked for, for each node.
MORE_PORTS: Final = 64

_LAST_PORT: Final = 65_535


def find_ports(host: str, first: int, metrics_host: str, first_metrics: int, count: int) -> tuple[list[int], list[int]]:
    """``count`` ports for the application and as many for metrics. They are free now, and may be taken a moment later.

    Those of the application follow one another from ``first``; those for metrics are the first free ones from
    ``first_metrics``. 0 means any. Raises :class:`SettingsError` for a port that is taken or may not be used, or a host
    that is not ours.
    """
    with ExitStack() as held:  # all at once, so that none is found twice
        ports = [_take(held, host, first + number if first else 0) for number in range(count)]
        metrics_ports: list[int] = []
        candidate = first_metrics
        while len(metrics_ports) < count:
            if first_metrics and candidate >= first_metrics + count + MORE_PORTS:
                raise SettingsError(f"--metrics-port: from {first_metrics} on not enough ports are free")
            try:
                metrics_ports.append(_take(held, metrics_host, candidate))
            except _TakenError:
                pass
            candidate += 1 if first_metrics else 0
        return ports, metrics_ports


class _TakenError(SettingsError):
    pass


def _take(held: ExitStack, host: str, port: int) -> int:
    """The port, bound until ``held`` lets go."""
    if not 0 <= port <= _LAST_PORT:
        raise SettingsError(f"{port} is no port: they end at {_LAST_PORT}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = held.enter_context(socket.create_server((host, port), family=family))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise _TakenError(f"port {port} on {host} is taken by another program") from error
        reason = (error.strerror or str(error)).partition(" (while")[0]  # the rest says what we say
        raise SettingsError(f"no node can listen on port {port} of {host}: {reason}") from error
    found: int = listening.getsockname()[1]
    return found

"""The port for metrics and health: the one that was asked for, or the first free one after it."""

from __future__ import annotations

import errno
import socket

from roomcast.errors import SettingsError

DEFAULT_PORT = 9464
# Several processes of one host take one port each: the first free one of this and as many after it.
MORE_PORTS = 64

_LAST_PORT = 65_535


def listen(host: str, port: int, more_ports: int = MORE_PORTS) -> socket.socket:
    """A socket that listens on ``port`` (0: any) or the first free one of ``more_ports`` after it.

    Raises :class:`SettingsError` if none of them is free, ``OSError`` for a host that is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    last = min(port + more_ports, _LAST_PORT) if port else 0
    for candidate in range(port, last + 1):
        try:
            return socket.create_server((host, candidate), family=family)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise SettingsError(f"no port from {port} to {last} is free on {host} for metrics and health")

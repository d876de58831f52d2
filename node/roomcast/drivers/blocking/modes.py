"""Which kind of task a server uses: the one that was asked for, or the one that is really in force in this process."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

import msgspec

from roomcast.drivers.blocking.concurrency import Concurrency
from roomcast.errors import SettingsError

logger = logging.getLogger("roomcast.server")


class Mode(msgspec.Struct, frozen=True):
    """Where the record of a mode is, and how the library is installed that it needs."""

    path: str
    install: str = ""


MODES = {
    "threading": Mode("roomcast.drivers.blocking.threads:THREADS"),
    "gevent": Mode("roomcast.drivers.blocking.gevent:GEVENT", "pip install 'roomcast[gevent]'"),
    "gevent_uwsgi": Mode("roomcast.drivers.blocking.gevent:GEVENT_UWSGI", "pip install 'roomcast[gevent]'"),
    "eventlet": Mode("roomcast.drivers.blocking.eventlet:EVENTLET", "pip install 'roomcast[eventlet]'"),
}


def concurrency_of(async_mode: str | None) -> Concurrency:
    """The record of a mode; None: of the one in force.

    Raises :class:`SettingsError` (a ValueError) for a name that does not exist, and for a library that is missing.
    """
    name = in_force() if async_mode is None else async_mode
    mode = MODES.get(name)
    if mode is None:
        raise SettingsError(f"there is no async_mode {name!r}; there are {', '.join(map(repr, MODES))}")
    module, _, attribute = mode.path.partition(":")
    try:
        concurrency: Concurrency = getattr(import_module(module), attribute)
    except ImportError as error:
        raise SettingsError(f"async_mode {name!r} needs a package that is not installed: {mode.install}") from error
    if async_mode is None:
        logger.info("async_mode is %r: that is what this process uses", name)
    return concurrency


def in_force() -> str:
    """What runs beside each other in this process: what was patched decides, not what is installed."""
    if _under_uwsgi_with_gevent():
        return "gevent_uwsgi"
    if patched("gevent"):
        return "gevent"
    return "eventlet" if patched("eventlet") else "threading"


def patched(library: str) -> bool:
    """Whether gevent or eventlet has taken the place of the standard library's sockets. Imports nothing."""
    if library == "gevent":
        monkey = sys.modules.get("gevent.monkey")
        return monkey is not None and bool(monkey.is_module_patched("socket"))
    patcher = sys.modules.get("eventlet.patcher")
    return patcher is not None and bool(patcher.is_monkey_patched("socket"))


def _under_uwsgi_with_gevent() -> bool:
    """uWSGI's module exists in its own processes only. It patches after it has loaded the application."""
    try:
        uwsgi = import_module("uwsgi")
    except ImportError:
        return False
    options = getattr(uwsgi, "opt", {})  # another package of that name has none
    return "gevent" in options or b"gevent" in options

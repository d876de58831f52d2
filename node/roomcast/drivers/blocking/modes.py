"""Which kind of task a server uses: the one that was asked for, or the one that is really in force in this process."""

from __future__ import annotations

import logging
import sys
from importlib import import_module

from roomcast.async_modes import Mode, load
from roomcast.drivers.blocking.concurrency import Concurrency
from roomcast.errors import SettingsError

logger = logging.getLogger("roomcast.server")

PATCH = {"gevent": "gevent.monkey.patch_all()", "eventlet": "eventlet.monkey_patch()"}
# What a broker's task waits with: where one of these is the system's own, it would stop all greenlets, or be a thread
# which they do not know.
NEEDED = {"gevent": ("socket", "select", "threading"), "eventlet": ("socket", "select", "thread")}

MODES = {
    "threading": Mode("roomcast.drivers.blocking.threads:THREADS"),
    "gevent": Mode("roomcast.drivers.blocking.gevent:GEVENT", "gevent"),
    "gevent_uwsgi": Mode("roomcast.drivers.blocking.gevent:GEVENT_UWSGI", "gevent"),
    "eventlet": Mode("roomcast.drivers.blocking.eventlet:EVENTLET", "eventlet"),
}


def concurrency_of(async_mode: str | Concurrency | None) -> Concurrency:
    """The record of a mode; None: of the one in force. A record is taken as it is.

    Raises :class:`SettingsError` (a ValueError) for a name that does not exist, and for a library that is missing.
    """
    if isinstance(async_mode, Concurrency):
        return async_mode
    name = in_force() if async_mode is None else async_mode
    concurrency: Concurrency = load(name, MODES)
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


def check_broker(async_mode: str) -> None:
    """Raise SettingsError where a broker could not work: its connection must not stop all greenlets while it waits."""
    mode = MODES.get(async_mode)
    library = "" if mode is None else mode.library
    if not library or (async_mode == "gevent_uwsgi" and _uwsgi_patches()):
        return
    missing = [module for module in NEEDED[library] if not patched(library, module)]
    if missing:
        raise SettingsError(
            f"a broker under async_mode {async_mode!r} needs {library} in the place of {', '.join(missing)}: call "
            f"{PATCH[library]} before anything else is imported, or use async_mode='threading'"
        )


def patched(library: str, module: str = "socket") -> bool:
    """Whether gevent or eventlet has taken the place of a module of the standard library. Imports nothing."""
    if library == "gevent":
        monkey = sys.modules.get("gevent.monkey")
        return monkey is not None and bool(monkey.is_module_patched(module))
    patcher = sys.modules.get("eventlet.patcher")
    return patcher is not None and bool(patcher.is_monkey_patched(module))


def _uwsgi_options() -> set[str]:
    """The options that uWSGI was started with. Its module exists in its own processes only."""
    try:
        uwsgi = import_module("uwsgi")
    except ImportError:
        return set()
    options = getattr(uwsgi, "opt", {})  # another package of that name has none
    return {name.decode() if isinstance(name, bytes) else name for name in options}


def _under_uwsgi_with_gevent() -> bool:
    return "gevent" in _uwsgi_options()


def _uwsgi_patches() -> bool:
    """Whether uWSGI will have patched when it serves: it does so after it has loaded the application."""
    return bool(_uwsgi_options() & {"gevent-monkey-patch", "gevent-early-monkey-patch"})

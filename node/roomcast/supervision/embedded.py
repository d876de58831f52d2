"""The embedded broker: a ZeroMQ forwarder in a thread of this process, in a folder that only its user can enter."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from roomcast.errors import SettingsError
from roomcast_brokers.errors import BrokerError, MissingExtraError
from roomcast_brokers.registry import create

if TYPE_CHECKING:
    from roomcast_brokers.backends.zmq import Forwarder


@contextmanager
def embedded_broker() -> Iterator[str]:
    """Runs one for the length of a ``with`` block; gives the URL for the nodes. Raises :class:`SettingsError`."""
    folder = tempfile.mkdtemp(prefix="roomcast-up-")  # 0700
    url = f"zmq+ipc://{folder}"
    try:
        forwarder = _start(url)
        try:
            yield url
        finally:
            forwarder.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(url: str) -> Forwarder:
    try:
        create(url, distribution="roomcast")  # if there is no ZeroMQ, this says how to get it
        from roomcast_brokers.backends.zmq import Forwarder

        forwarder = Forwarder(url)
        forwarder.start()
    except MissingExtraError as error:
        raise SettingsError(f"the embedded broker: {error}; or name another one with --broker") from error
    except BrokerError as error:
        raise SettingsError(f"the embedded broker cannot start: {error}") from error
    return forwarder

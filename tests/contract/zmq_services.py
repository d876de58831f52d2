"""ZeroMQ for the contract suite: a forwarder in a process of its own."""

from __future__ import annotations

import tempfile

from tests.contract.services import Service
from tests.support.forwarders import ForwarderProcess


class ZmqService(Service):
    """Over a Unix socket."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="rc-")
        self._forwarder = ForwarderProcess(f"zmq+ipc://{self._folder.name}/broker")

    def url(self) -> str:
        return self._forwarder.url

    def start(self) -> None:
        self._forwarder.start()

    def stop(self) -> None:
        self._forwarder.kill()

    def cut(self) -> None:
        """A new forwarder knows nobody: every connection is broken, and new ones are accepted."""
        self.restart()

    def close(self) -> None:
        self.stop()
        self._folder.cleanup()


class ZmqTcpService(ZmqService):
    """Over a port of the loopback."""

    def __init__(self) -> None:
        super().__init__()
        self._forwarder = ForwarderProcess("zmq+tcp://127.0.0.1:0")

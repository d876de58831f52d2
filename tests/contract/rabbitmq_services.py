"""RabbitMQ for the contract suite, in both modes of its back end. The rows share one server; who makes a service without
naming one has its own.
"""

from __future__ import annotations

from tests.contract.services import Service
from tests.support.rabbitmq_server import RabbitServer, shared_server


class AiopikaService(Service):
    """The fast mode. When it is stopped, its Erlang runs on, and so it is back within two seconds."""

    restarts_slowly = True
    cuts_slowly = True

    def __init__(self, server: RabbitServer | None = None) -> None:
        self._owns = server is None
        self.server = server or RabbitServer()

    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop_app()

    def cut(self) -> None:
        self.server.close_all_connections()

    def close(self) -> None:
        if self._owns:
            self.server.close()


class AiopikaDurableService(AiopikaService):
    """The durable mode: each binding and each message is on a disk before it is confirmed."""

    many = 2_000

    def url(self) -> str:
        return f"{self.server.url}?durable=true"


class AiopikaTLSService(AiopikaService):
    """The fast mode over TLS."""

    def url(self) -> str:
        return self.server.tls_url


def fast() -> Service:
    return AiopikaService(shared_server())


def durable() -> Service:
    return AiopikaDurableService(shared_server())


def over_tls() -> Service:
    return AiopikaTLSService(shared_server())

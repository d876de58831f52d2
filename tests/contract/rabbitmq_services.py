"""RabbitMQ for the contract suite, in both modes of its back end."""

from __future__ import annotations

from tests.contract.services import Service
from tests.support.rabbitmq_server import RabbitServer


class AiopikaService(Service):
    """The fast mode. When it is stopped, its Erlang runs on, and so it is back within two seconds."""

    restarts_slowly = True
    cuts_slowly = True

    def __init__(self, *, tls: bool = False) -> None:
        self.server = RabbitServer(tls=tls)

    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop_app()

    def cut(self) -> None:
        self.server.close_all_connections()

    def close(self) -> None:
        self.server.close()


class AiopikaDurableService(AiopikaService):
    """The durable mode: each binding and each message is on a disk before it is confirmed."""

    many = 2_000

    def url(self) -> str:
        return f"{self.server.url}?durable=true"


class AiopikaTLSService(AiopikaService):
    """The fast mode over TLS."""

    def __init__(self) -> None:
        super().__init__(tls=True)

    def url(self) -> str:
        return self.server.tls_url

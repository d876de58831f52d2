"""What kombu's transports need for the contract suite."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.contract.rabbitmq_services import AiopikaService
from tests.contract.services import Service
from tests.support.programs import module
from tests.support.services import RedisServer

module("kombu")


class KombuRedisService(Service):
    """Redis, by kombu."""

    def __init__(self) -> None:
        self.server = RedisServer()

    def url(self) -> str:
        return f"kombu+{self.server.url}"

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.kill()

    def cut(self) -> None:
        self.server.client_kill_all()

    def close(self) -> None:
        self.server.close()


class KombuAmqpService(AiopikaService):
    """RabbitMQ, by kombu."""

    def url(self) -> str:
        return f"kombu+{self.server.url}"


class KombuMemoryService(Service):
    """kombu's queues in this process, at which everybody looks a hundred times a second."""

    can_break = False
    many = 1_000

    def url(self) -> str:
        return "kombu+memory://"

    def start(self) -> None:
        """It is always there."""

    def stop(self) -> None:
        """Nothing runs."""

    def cut(self) -> None:
        raise NotImplementedError


class KombuFilesystemService(KombuMemoryService):
    """kombu's queues in a folder, at which everybody looks twenty times a second."""

    many = 100

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="roomcast-")

    def url(self) -> str:
        return f"kombu+filesystem://{Path(self._folder.name)}"

    def stop(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        self._folder.cleanup()

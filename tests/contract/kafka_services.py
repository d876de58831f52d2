"""Kafka for the contract suite: one node."""

from __future__ import annotations

from tests.contract.services import Service
from tests.support.kafka_server import KafkaServer


class KafkaService(Service):
    """The topic of the suite's channels is made by who comes first."""

    colours = ("asyncio", "threads")
    restarts_slowly = True
    cuts_slowly = True
    many = 2_000

    def __init__(self) -> None:
        self.server = KafkaServer()

    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.kill()

    def cut(self) -> None:
        """kafka-python mends a connection that is cut by itself, and nothing is lost: that is no break."""
        self.restart()

    def close(self) -> None:
        self.server.close()

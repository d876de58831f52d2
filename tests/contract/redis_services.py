"""The Redis of the contract suite, in each of its forms."""

from __future__ import annotations

from tests.contract.services import Service
from tests.support.redis_groups import Cluster, Sentinels
from tests.support.services import RedisServer


class RedisService(Service):
    """One server."""

    def __init__(self, server: RedisServer | None = None) -> None:
        self.server = server or RedisServer()

    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.kill()

    def cut(self) -> None:
        self.server.client_kill_all()

    def close(self) -> None:
        self.server.close()


class UnixService(RedisService):
    """One server over a Unix socket, with a password."""

    def __init__(self) -> None:
        super().__init__(RedisServer(unix=True, password="not: so/ secret"))

    def url(self) -> str:
        return self.server.unix_url


class TLSService(RedisService):
    """One server over TLS."""

    def __init__(self) -> None:
        super().__init__(RedisServer(tls=True))


class SentinelService(Service):
    """A master that Sentinels name."""

    def __init__(self) -> None:
        self.group = Sentinels(password="secret")

    def url(self) -> str:
        return self.group.url

    def start(self) -> None:
        self.group.start()

    def stop(self) -> None:
        self.group.stop_servers()

    def cut(self) -> None:
        self.group.master.client_kill_all()

    def close(self) -> None:
        self.group.close()


class ClusterService(Service):
    """Three masters. A cluster whose nodes were away takes two seconds before it serves again."""

    restarts_slowly = True

    def __init__(self) -> None:
        self.cluster = Cluster(password="secret")

    def url(self) -> str:
        return self.cluster.url

    def start(self) -> None:
        self.cluster.start()

    def stop(self) -> None:
        for server in self.cluster.servers:
            server.kill()

    def cut(self) -> None:
        for server in self.cluster.servers:
            server.client_kill_all()

    def close(self) -> None:
        self.cluster.close()

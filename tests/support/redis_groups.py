"""Several Redis servers that belong together: a master that Sentinels watch, and a cluster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Self

from redis.crc import key_slot

from tests.support.services import RedisServer, wait_for

SLOTS = 16_384

# Milliseconds without an answer after which a server is taken for dead: short, because tests wait for it.
DEAD_AFTER = 500


class Sentinels:
    """A master, a replica, and three Sentinels that make the replica the master when the master is gone."""

    service = "watched"

    def __init__(self, *, password: str | None = None) -> None:
        access = ["--masterauth", password] if password else []
        self.servers = [RedisServer(*access, password=password) for _ in range(2)]
        self.sentinels: list[RedisServer] = []
        self._password = password

    @property
    def url(self) -> str:
        login = f":{self._password}@" if self._password else ""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{login}{hosts}/0/{self.service}"

    @property
    def master(self) -> RedisServer:
        """Whom the Sentinels call the master."""
        port = int(self.sentinels[0].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)[1])
        return next(server for server in self.servers if server.port == port)

    def start(self) -> None:
        """Run, with everybody knowing everybody. Afterwards: whoever is gone comes back in the role it had."""
        for server in self.servers:
            server.start()
        if not self.sentinels:
            first, second = self.servers
            second.command("REPLICAOF", "127.0.0.1", first.port)
            self.sentinels = [_sentinel(first, self._password) for _ in range(3)]
            for sentinel in self.sentinels:
                sentinel.start()
        for sentinel in self.sentinels:
            sentinel.start()
            wait_for(partial(self._in_order, sentinel), f"Sentinels in order\n{sentinel.log()}")

    def stop_servers(self) -> None:
        """Kill master and replica; the replica first, so that nobody becomes the master meanwhile."""
        master = self.master
        for server in sorted(self.servers, key=lambda server: server is master):
            server.kill()

    def close(self) -> None:
        for each in (*self.sentinels, *self.servers):
            each.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _in_order(self, sentinel: RedisServer) -> bool:
        with sentinel.client() as client:
            state = client.sentinel_master(self.service)
        return (
            state["num-other-sentinels"] == 2
            and state["num-slaves"] == 1
            and not state["is_sdown"]
            and state["flags"] == "master"
        )


def _sentinel(master: RedisServer, password: str | None) -> RedisServer:
    """A Sentinel keeps what it learns in the file of its configuration."""
    sentinel = RedisServer(program="redis-sentinel")
    configuration = sentinel.folder / "sentinel.conf"
    lines = [
        f"port {sentinel.port}",
        "bind 127.0.0.1",
        f"sentinel monitor {Sentinels.service} 127.0.0.1 {master.port} 2",
        f"sentinel down-after-milliseconds {Sentinels.service} {DEAD_AFTER}",
        f"sentinel failover-timeout {Sentinels.service} 2000",
    ]
    if password:
        lines.append(f"sentinel auth-pass {Sentinels.service} {password}")
    configuration.write_text("\n".join(lines) + "\n")
    sentinel._arguments = lambda: [str(configuration)]  # type: ignore[method-assign]
    return sentinel


class Cluster:
    """Three masters that share the slots, without replicas."""

    def __init__(self, *, password: str | None = None) -> None:
        self.servers = [
            RedisServer(
                *("--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"),
                *("--cluster-node-timeout", str(DEAD_AFTER), "--cluster-require-full-coverage", "no"),
                password=password,
            )
            for _ in range(3)
        ]
        self._joined = False

    @property
    def url(self) -> str:
        password = self.servers[0].password
        return f"redis+cluster://{f':{password}@' if password else ''}" + ",".join(
            f"127.0.0.1:{server.port}" for server in self.servers
        )

    def start(self) -> None:
        """Run, with each slot served."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(RedisServer.start, self.servers))
        if not self._joined:
            self._join()
        for server in self.servers:
            wait_for(partial(self._in_order, server), f"a cluster in order\n{server.log()}")

    def owner(self, channel: str) -> RedisServer:
        """Who has the slot of ``channel``."""
        slot = key_slot(channel.encode())
        for first, last, (_, port, *_rest), *_ in self.servers[0].command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(server for server in self.servers if server.port == port)
        raise AssertionError(f"slot {slot} belongs to nobody")

    def move(self, channel: str, to: RedisServer) -> None:
        """Give the slot of ``channel`` to another server."""
        slot, new = key_slot(channel.encode()), to.command("CLUSTER", "MYID")
        source = self.owner(channel)
        for server in sorted(self.servers, key=lambda server: (server is not to, server is not source)):
            server.command("CLUSTER", "SETSLOT", slot, "NODE", new)

    def close(self) -> None:
        for server in self.servers:
            server.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _join(self) -> None:
        share = -(-SLOTS // len(self.servers))
        for index, server in enumerate(self.servers):
            server.command("CLUSTER", "ADDSLOTSRANGE", index * share, min((index + 1) * share, SLOTS) - 1)
            server.command("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for server in self.servers[1:]:
            server.command("CLUSTER", "MEET", "127.0.0.1", self.servers[0].port)
        self._joined = True

    def _in_order(self, server: RedisServer) -> bool:
        state = dict(line.split(":") for line in str(server.command("CLUSTER", "INFO")).splitlines())
        return (
            state["cluster_state"] == "ok"
            and int(state["cluster_slots_ok"]) == SLOTS
            and int(state["cluster_known_nodes"]) == len(self.servers)
        )

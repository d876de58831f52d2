"""Several workers behind one port: what a process notices and says of it, and the two ways that work."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from roomcast.shared_socket import SHARED_SOCKET
from tests.support.balanced_nodes import free_addresses, ports_on
from tests.support.balancers import TAGS, Nginx, Places
from tests.support.cluster_nodes import METRICS_LINE, new_cluster
from tests.support.patience import PATIENCE
from tests.support.python_client import PythonClient
from tests.support.raw_http import request
from tests.support.server import ROOT, ServerProcess, accepts_at, python_path, running_server
from tests.support.services import Process, RedisServer, wait_for

BLOCKING = "tests.cluster.blocking_application:app"
ASGI = "tests.cluster.application:make"
WORKERS = ("--workers", "2")
SERVERS = {
    "gunicorn threads": (BLOCKING, "gunicorn threads", WORKERS),
    "gunicorn gevent": (BLOCKING, "gunicorn gevent", WORKERS),
    "uwsgi gevent": (BLOCKING, "uwsgi gevent", ("--processes", "2", "--lazy-apps", "--disable-logging")),
    "uvicorn": (ASGI, "uvicorn", ("--factory", *WORKERS)),
    "hypercorn": (f"{ASGI}()", "hypercorn", WORKERS),
    "gunicorn uvicorn": (f"{ASGI}()", "gunicorn threads", ("-k", "uvicorn.workers.UvicornWorker", *WORKERS)),
}


def rows(*quick: str) -> list[Any]:
    """The servers; all but these run with the long tests."""
    return [
        pytest.param(*row, id=name, marks=() if name in quick else pytest.mark.long) for name, row in SERVERS.items()
    ]


MOST_CLIENTS = 100
"""So many WebSockets are opened at most until two workers have one."""

pytestmark = pytest.mark.timeout(180)


@contextlib.contextmanager
def workers(application: str, served_by: str, arguments: tuple[str, ...], **options: object) -> Iterator[ServerProcess]:
    with running_server(
        application, served_by, env={"CLUSTER_OPTIONS": json.dumps(options)}, arguments=arguments
    ) as server:
        yield server


@pytest.mark.parametrize(("application", "served_by", "arguments"), rows("gunicorn threads", "uvicorn"))
async def test_a_worker_that_has_others_beside_it_says_so(
    application: str, served_by: str, arguments: tuple[str, ...]
) -> None:
    with workers(application, served_by, arguments) as server:
        await request(f"{server.url}/socket.io/?EIO=4&transport=polling")
        wait_for(lambda: SHARED_SOCKET in server.output(), server.output, 3 * PATIENCE)
        expected = 2 if application == BLOCKING else 0
        wait_for(lambda: len(METRICS_LINE.findall(server.output())) == expected, server.output, 3 * PATIENCE)
        metrics = METRICS_LINE.findall(server.output())
        ready = [json.loads((await request(f"{url}/readyz")).body) for url in metrics]
    told = {"status": "degraded", "reasons": [SHARED_SOCKET]}
    assert all(each in (told, {"status": "ready"}) for each in ready)
    assert not ready or told in ready  # under WSGI a worker knows when it gets its first request


@pytest.mark.parametrize(("application", "served_by", "arguments"), rows("gunicorn threads"))
def test_with_websockets_alone_and_a_broker_each_worker_is_a_node(
    application: str, served_by: str, arguments: tuple[str, ...]
) -> None:
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        broker = {"broker": redis.url, "cluster": new_cluster(), "transports": ["websocket"]}
        server = stack.enter_context(workers(application, served_by, arguments, **broker))
        clients: dict[str, PythonClient] = {}
        for number in range(MOST_CLIENTS):
            client = stack.enter_context(PythonClient("threads"))
            client.connect(server.url, transports=["websocket"])
            clients.setdefault(client.do("get_sid")[:4], client)
            if len(clients) == 2 and number:
                break
        assert len(clients) == 2, server.output()
        wait_for(lambda: all(set(clients) == set(nodes(each)) for each in clients.values()), server.output)
        for tag, client in clients.items():
            client.do("call", "do", ("enter_room", [client.do("get_sid"), "room"], {}), timeout=PATIENCE)
            assert tag in nodes(client)
        for tag, client in clients.items():
            client.do("call", "do", ("emit", ["hello", tag], {"to": "room"}), timeout=PATIENCE)
            assert [each.hear("hello") for each in clients.values()] == [(tag,), (tag,)]
        assert SHARED_SOCKET not in server.output()


def nodes(client: PythonClient) -> list[str]:
    """The tags of the nodes that a client's node knows."""
    return list(client.do("call", "do", ("look", [], {}), timeout=PATIENCE)["value"]["nodes"])


# --- several processes with one worker and a port each ----------------------------------------------------------------


class GunicornNode(Process):
    """One worker, at an address of its own."""

    def __init__(self, tag: str, worker: str, places: Places, number: int, environment: dict[str, str]) -> None:
        super().__init__()
        self._environment = {**environment, "ROOMCAST_TAG": tag, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": "1"}
        self._place = (places.addresses[number], places.port)
        self._worker = ("-k", "gevent") if worker == "gevent" else ("--threads", "20")

    def start(self) -> None:
        address, port = self._place
        self.spawn(
            *(sys.executable, "-m", "gunicorn", "--workers", "1", *self._worker, "--bind", f"{address}:{port}"),
            *("--no-control-socket", "--chdir", str(ROOT), BLOCKING),
            environment=self._environment,
        )
        wait_for(lambda: self.running and accepts_at(address, port), self.log, 3 * PATIENCE)

    def close(self) -> None:
        """gunicorn ends its worker."""
        if self._process is not None and self.running:
            os.kill(self._process.pid, signal.SIGTERM)
            self._process.wait(2 * PATIENCE)
        super().close()


@pytest.mark.long
@pytest.mark.parametrize("transports", [["polling"], ["polling", "websocket"]], ids="-".join)
def test_processes_with_one_worker_each_behind_a_balancer(transports: list[str]) -> None:
    addresses = free_addresses(len(TAGS))
    places = Places(addresses, *ports_on(addresses), 0)
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(RedisServer())
        environment = {"ROOMCAST_BROKER": redis.url, "ROOMCAST_CLUSTER": new_cluster()}
        kinds = zip(TAGS, ("threads", "gevent", "threads"), strict=True)
        for number, (tag, worker) in enumerate(kinds):
            node = GunicornNode(tag, worker, places, number, environment)
            stack.callback(node.close)
            node.start()
        nginx = stack.enter_context(Nginx(places))
        clients = [stack.enter_context(PythonClient("threads")) for _ in range(3 * len(TAGS))]
        for client in clients:
            client.connect(nginx.url, transports=transports)
        assert {client.do("get_sid")[:4] for client in clients} == set(TAGS)
        wait_for(lambda: all(set(nodes(client)) == set(TAGS) for client in clients), nginx.log)
        for number, client in enumerate(clients):
            client.do("call", "do", ("emit", ["hello", number], {}), timeout=PATIENCE)
            assert [each.hear("hello") for each in clients] == [(number,)] * len(clients)
        assert {status for _, _, status in nginx.answered()} <= {200, 101}

"""The shipped docker-compose.yml in real containers: `make compose-trial`, by hand, as root where no engine runs.

It takes the ports that the file publishes. Every test ends with nothing left but images.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
import time  # time: how long a cluster takes from `up` to its first message is part of what is promised
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import base_images
from tests.support.browser import Deeds, Scenario, chat_client, chromium_program, node_with_playwright
from tests.support.compose_project import ComposeProject
from tests.support.container_engine import ContainerEngine
from tests.support.patience import PATIENCE
from tests.support.services import wait_for

pytestmark = [pytest.mark.trial, pytest.mark.timeout(0)]

URL, PROMETHEUS = "http://127.0.0.1:8080", "http://127.0.0.1:9090"
FIRST_MESSAGE = 60.0
"""Seconds from `up` until one browser sees what another one said, once the images are there."""
SOON = 6 * PATIENCE
LOBBY = "room:lobby"
NODES = 3
SERVICES = ("node", "haproxy", "worker", "prometheus")
"""Redis comes with them. Grafana is left out: there is no image of it on a host that cannot pull."""


@pytest.fixture(scope="module")
def engine() -> Iterator[ContainerEngine]:
    with ContainerEngine() as engine:
        if engine.own:
            base_images.provide(engine)
        yield engine


@pytest.fixture
def browsers(tmp_path: Path) -> tuple[str, str, Path]:
    chat_client()  # the image gets it from there
    return node_with_playwright(), chromium_program(), tmp_path


@contextlib.contextmanager
def project(engine: ContainerEngine, **options: str) -> Iterator[ComposeProject]:
    """Nothing is left of it at the end; what the containers wrote stands with a failure."""
    compose = ComposeProject(engine, **options)
    compose.down()
    try:
        yield compose
    except BaseException as failure:
        failure.add_note(compose("ps")[-4_000:])
        failure.add_note(compose("logs", "--no-color", "--tail", "30")[-16_000:])
        raise
    finally:
        compose.down()


def fetch(url: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=PATIENCE) as answer:
        return answer.read().decode()


def handshake(url: str) -> str:
    """The tag of the node that answers."""
    tag: str = json.loads(fetch(f"{url}/socket.io/?EIO=4&transport=polling")[1:])["sid"][:4]
    return tag


def served() -> bool:
    """Whether the balancer and a node behind it answer."""
    try:
        return bool(handshake(URL))
    except (OSError, http.client.HTTPException):
        return False


def tags(compose: ComposeProject) -> dict[str, str]:
    """The containers of the nodes by the nodes' tags."""
    found = {}
    for container in compose.containers("node"):
        networks = compose.inspect(container)["NetworkSettings"]["Networks"]
        address = next(each["IPAddress"] for name, each in networks.items() if name.endswith("_front"))
        found[handshake(f"http://{address}:8000")] = container
    return found


def measured(query: str) -> float:
    """What Prometheus answers now, a single number; nothing counts as 0."""
    asked = urllib.parse.urlencode({"query": query})
    found = json.loads(fetch(f"{PROMETHEUS}/api/v1/query?{asked}"))["data"]["result"]
    return float(found[0]["value"][1]) if found else 0.0


def kill(compose: ComposeProject, container: str) -> None:
    compose.engine.docker("kill", container)


def tell_the_lobby(compose: ComposeProject, text: str) -> None:
    """Have a Celery task emit to the chat's first room."""
    message = ["message", {"id": f"trial-{text}", "name": "Celery", "text": text, "at": 0}, LOBBY]
    task = ["celery", "-A", "examples.celery_worker.tasks", "call", "examples.celery_worker.tasks.tell"]
    compose("exec", "-T", "worker", *task, "--args", json.dumps(message))


def deeds(compose: ComposeProject, **more: Callable[..., None]) -> Deeds:
    """What the scenario asks for."""
    found: dict[str, Callable[..., None]] = {
        "heard": lambda: None,
        "worker": lambda: tell_the_lobby(compose, "hello from a worker"),
        "kill": lambda tag: kill(compose, tags(compose)[tag]),
    }
    return found | more


def test_the_whole_of_it(engine: ContainerEngine, browsers: tuple[str, str, Path]) -> None:
    """Up, chat, a task's emit, Prometheus, a node killed, five nodes, down."""
    node, chromium, shots = browsers
    waited = []
    with project(engine) as compose:
        compose("build", "node", "worker")
        begin = time.monotonic()
        compose("up", "--detach", *SERVICES)
        wait_for(served, "nobody answers", SOON)
        heard = deeds(compose, heard=lambda: waited.append(time.monotonic() - begin))
        Scenario([URL], node, chromium, shots, heard).play("trial.mjs")
        sys.stdout.write(f"\nfrom up to the first message: {waited[0]:.1f} s\n")
        assert waited[0] < FIRST_MESSAGE
        wait_for(lambda: measured("sum(up)") == NODES - 1, "Prometheus has not noticed", SOON)
        scale_to(compose, 5)
        nodes = list(tags(compose).values())
        compose("stop", "--timeout", "30", "node")
        for container in nodes:
            state = compose.inspect(container)["State"]
            assert (state["ExitCode"], state["OOMKilled"]) == (0, False), engine.docker("logs", container)


def scale_to(compose: ComposeProject, count: int) -> None:
    """Start more nodes; they are watched, and the balancer sends clients to each."""
    compose("up", "--detach", "--no-recreate", "--scale", f"node={count}", *SERVICES)
    wait_for(lambda: measured("sum(up)") == count, f"Prometheus does not reach {count} nodes", SOON)
    everybody = set(tags(compose))
    assert len(everybody) == count
    seen: set[str] = set()

    def all_are_served() -> bool:
        seen.add(handshake(URL))
        return seen == everybody

    wait_for(all_are_served, lambda: f"the balancer reaches {seen} of {everybody}", SOON)


def test_nginx_in_its_place(engine: ContainerEngine, browsers: tuple[str, str, Path]) -> None:
    node, chromium, shots = browsers
    with project(engine, profile="nginx") as compose:
        compose("build", "node1", "worker")
        compose("up", "--detach", "nginx", "worker", "prometheus")
        wait_for(served, "nobody answers", SOON)
        assert {handshake(URL) for _ in range(10 * NODES)} == {"n001", "n002", "n003"}
        by_name = deeds(compose, kill=lambda tag: kill(compose, compose.containers(f"node{tag[-1]}")[0]))
        Scenario([URL], node, chromium, shots, by_name).play("trial.mjs")


def test_rabbitmq_in_the_place_of_redis(engine: ContainerEngine, browsers: tuple[str, str, Path]) -> None:
    node, chromium, shots = browsers
    with project(engine, environment_file="compose/rabbitmq.env") as compose:
        compose("build", "node", "worker")
        compose("up", "--detach", *SERVICES, "rabbitmq")
        all_peers = NODES * (NODES - 1)
        wait_for(lambda: measured("sum(roomcast_peers)") == all_peers, "nodes do not hear each other", 2 * SOON)
        wait_for(served, "nobody answers", SOON)
        Scenario([URL], node, chromium, shots, deeds(compose)).play("trial.mjs")

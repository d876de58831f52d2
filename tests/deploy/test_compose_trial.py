"""The shipped docker-compose.yml in real containers: `make compose-trial`, by hand, as root where no engine runs.

It takes the ports that the file publishes. Every test ends with nothing left but images.
"""

from __future__ import annotations

import json
import sys
import time  # time: how long a cluster takes from `up` to its first message is part of what is promised
import urllib.parse
import urllib.request
from collections.abc import Iterator
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


@pytest.fixture
def compose(engine: ContainerEngine, request: pytest.FixtureRequest) -> Iterator[ComposeProject]:
    """The project, whose parameters are those of the test; its logs stand with a failure."""
    project = ComposeProject(engine, **getattr(request, "param", {}))
    project.down()
    try:
        yield project
    except BaseException as failure:
        failure.add_note(project("logs", "--no-color", "--tail", "40")[-12_000:])
        raise
    finally:
        project.down()


def fetch(url: str) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=PATIENCE) as answer:
        return answer.read().decode()


def handshake(url: str) -> str:
    """The tag of the node that answers."""
    tag: str = json.loads(fetch(f"{url}/socket.io/?EIO=4&transport=polling")[1:])["sid"][:4]
    return tag


def tags(compose: ComposeProject) -> dict[str, str]:
    """The containers of the nodes by the nodes' tags."""
    found = {}
    for container in compose.containers("node"):
        networks = compose.inspect(container)["NetworkSettings"]["Networks"]
        address = next(each["IPAddress"] for name, each in networks.items() if name.endswith("_front"))
        found[handshake(f"http://{address}:8000")] = container
    return found


def nodes_up() -> int:
    """How many nodes Prometheus reaches."""
    query = urllib.parse.urlencode({"query": 'sum(up{job="roomcast"})'})
    found = json.loads(fetch(f"{PROMETHEUS}/api/v1/query?{query}"))["data"]["result"]
    return int(found[0]["value"][1]) if found else 0


def kill(compose: ComposeProject, container: str) -> None:
    compose.engine.docker("kill", container)


def tell_the_lobby(compose: ComposeProject, text: str) -> None:
    """Have a Celery task emit to the chat's first room."""
    message = ["message", {"id": f"trial-{text}", "name": "Celery", "text": text, "at": 0}, LOBBY]
    task = ["celery", "-A", "examples.celery_worker.tasks", "call", "examples.celery_worker.tasks.tell"]
    compose("exec", "-T", "worker", *task, "--args", json.dumps(message))


def test_the_whole_of_it(compose: ComposeProject, browsers: tuple[str, str, Path]) -> None:
    """Up, chat, a task's emit, Prometheus, a node killed, five nodes, down."""
    services = ("node", "haproxy", "worker", "prometheus")  # Redis by itself; no image of Grafana on such a host
    compose("build", "node", "worker")
    begin = time.monotonic()
    compose("up", "--detach", *services)
    waited = []

    def heard() -> None:
        waited.append(time.monotonic() - begin)

    deeds: Deeds = {
        "heard": heard,
        "worker": lambda: tell_the_lobby(compose, "hello from a worker"),
        "kill": lambda tag: kill(compose, tags(compose)[tag]),
    }
    node, chromium, shots = browsers
    wait_for(lambda: nodes_up() == 3, "Prometheus does not reach three nodes", SOON)
    Scenario([URL], node, chromium, shots, deeds).play("trial.mjs")
    sys.stdout.write(f"\nfrom up to the first message: {waited[0]:.1f} s\n")
    assert waited[0] < FIRST_MESSAGE
    wait_for(lambda: nodes_up() == 2, "Prometheus has not noticed", SOON)

    compose("up", "--detach", "--no-recreate", "--scale", "node=5", *services)
    wait_for(lambda: nodes_up() == 5, "Prometheus does not reach five nodes", SOON)
    everybody = set(tags(compose))
    assert len(everybody) == 5
    seen: set[str] = set()

    def all_are_served() -> bool:
        seen.add(handshake(URL))
        return seen == everybody

    wait_for(all_are_served, lambda: f"the balancer reaches {seen} of {everybody}", SOON)
    containers = list(tags(compose).values())
    compose("stop", "--timeout", "30", "node")
    for container in containers:
        state = compose.inspect(container)["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False), compose.engine.docker("logs", container)


@pytest.mark.parametrize("compose", [{"profile": "nginx"}], indirect=True, ids=["nginx"])
def test_nginx_in_its_place(compose: ComposeProject, browsers: tuple[str, str, Path]) -> None:
    compose("build", "node1", "worker")
    compose("up", "--detach", "nginx", "worker", "prometheus")
    wait_for(lambda: nodes_up() == 3, "Prometheus does not reach three nodes", SOON)
    assert {handshake(URL) for _ in range(30)} == {"n001", "n002", "n003"}
    deeds: Deeds = {
        "heard": lambda: None,
        "worker": lambda: tell_the_lobby(compose, "hello from a worker"),
        "kill": lambda tag: kill(compose, compose.containers(f"node{tag[-1]}")[0]),
    }
    node, chromium, shots = browsers
    Scenario([URL], node, chromium, shots, deeds).play("trial.mjs")


@pytest.mark.parametrize("compose", [{"environment_file": "compose/rabbitmq.env"}], indirect=True, ids=["rabbitmq"])
def test_rabbitmq_in_the_place_of_redis(compose: ComposeProject, browsers: tuple[str, str, Path]) -> None:
    compose("build", "node", "worker")
    compose("up", "--detach", "node", "haproxy", "worker", "prometheus", "rabbitmq")

    def joined() -> bool:
        query = urllib.parse.urlencode({"query": "sum(roomcast_peers)"})
        found = json.loads(fetch(f"{PROMETHEUS}/api/v1/query?{query}"))["data"]["result"]
        return bool(found) and found[0]["value"][1] == "6"

    wait_for(joined, "three nodes do not hear each other", 2 * SOON)
    deeds: Deeds = {
        "heard": lambda: None,
        "worker": lambda: tell_the_lobby(compose, "hello from a worker"),
        "kill": lambda tag: kill(compose, tags(compose)[tag]),
    }
    node, chromium, shots = browsers
    Scenario([URL], node, chromium, shots, deeds).play("trial.mjs")

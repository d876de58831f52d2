"""A real Prometheus, with the shipped files, watches three nodes: it knows every metric, and one fault fires its alert.

Unchanged but for where the nodes are and how often it looks; alerts wait a second where they would wait a minute.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.cluster_nodes import ProcessNodes
from tests.support.prometheus_server import LONG, PrometheusServer
from tests.support.python_client import PythonClient
from tests.support.services import RedisServer, wait_for
from tests.support.tree import ROOT

MONITORING = ROOT / "monitoring"
DOCUMENTED = re.findall(
    r"^\| `(roomcast_\w+)` \| (\w+) ", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.MULTILINE
)
OFTEN = "500ms"
NODES = 3


class Watched(NamedTuple):
    """Three nodes of one cluster, their broker, and who watches them."""

    redis: RedisServer
    nodes: ProcessNodes
    prometheus: PrometheusServer

    def instances(self) -> set[str]:
        """The nodes as Prometheus calls them."""
        return {node.metrics_url.removeprefix("http://") for node in self.nodes}


def shipped(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def configuration(targets: list[str]) -> dict[str, Any]:
    """The shipped one, with these targets."""
    found = shipped(MONITORING / "prometheus.yml")
    found["global"] |= {"scrape_interval": OFTEN, "scrape_timeout": OFTEN, "evaluation_interval": OFTEN}
    (job,) = found["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": targets}]
    return found


def impatient(rules: dict[str, Any]) -> dict[str, Any]:
    """The same rules; no alert waits for longer than a second."""
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    return rules


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    rules = {f"rules/{path.name}": impatient(shipped(path)) for path in (MONITORING / "rules").glob("*.yml")}
    with RedisServer() as redis, ProcessNodes(redis.url, NODES) as nodes:
        targets = [node.metrics_url.removeprefix("http://") for node in nodes]
        with PrometheusServer(configuration(targets), rules) as prometheus:
            yield Watched(redis, nodes, prometheus)


def test_all_targets_are_up(watched: Watched) -> None:
    prometheus = watched.prometheus
    wait_for(lambda: prometheus.values('up{job="roomcast"} == 1').keys() == watched.instances(), prometheus.log, LONG)
    targets = prometheus.ask("targets", state="active")["activeTargets"]
    assert [(each["health"], each["lastError"]) for each in targets] == [("up", "")] * NODES


def test_every_documented_metric_is_there(watched: Watched) -> None:
    wanted = set()
    for name, kind in DOCUMENTED:
        wanted |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    assert len(DOCUMENTED) > 40
    prometheus = watched.prometheus
    wait_for(lambda: wanted <= prometheus.names(), lambda: f"missing: {wanted - prometheus.names()}", LONG)
    for name in (
        "roomcast_clients",
        "roomcast_peers",
        "process_open_fds",
        "process_max_fds",
        "process_cpu_seconds_total",
    ):
        wait_for(partial(_is_everywhere, watched, name), partial("{} is not of every node".format, name), LONG)


def _is_everywhere(watched: Watched, name: str) -> bool:
    return watched.prometheus.values(name).keys() == watched.instances()


def test_the_rules_are_loaded_and_can_be_evaluated(watched: Watched) -> None:
    ours = {path.name: shipped(path) for path in (MONITORING / "rules").glob("*.yml")}
    names = [
        rule.get("record") or rule.get("alert")
        for each in ours.values()
        for group in each["groups"]
        for rule in group["rules"]
    ]

    def rules() -> list[dict[str, Any]]:
        groups = watched.prometheus.ask("rules")["groups"]
        return [rule for group in groups for rule in group["rules"]]

    wait_for(lambda: all(rule["health"] != "unknown" for rule in rules()), lambda: str(rules()), LONG)
    assert sorted(rule["name"] for rule in rules()) == sorted(map(str, names))
    assert {rule["health"] for rule in rules()} == {"ok"}, [rule.get("lastError") for rule in rules()]


async def test_what_clients_do_is_seen(watched: Watched) -> None:
    prometheus = watched.prometheus
    with PythonClient("threads") as client:
        await asyncio.to_thread(client.connect, watched.nodes[0].url)

        def counted() -> bool:
            return prometheus.values("job:roomcast_clients:sum", "job") == {"roomcast": 1.0}

        await asyncio.to_thread(wait_for, counted, "the client is not counted", LONG)


def test_a_broker_that_is_away_fires_its_alert_and_nothing_fires_before(watched: Watched) -> None:
    redis, nodes, prometheus = watched
    wait_for(
        lambda: prometheus.values("roomcast_peers") == dict.fromkeys(watched.instances(), NODES - 1), nodes[0].log, LONG
    )
    wait_for(lambda: not prometheus.firing(), lambda: str(prometheus.ask("alerts")), LONG)
    redis.stop()
    wait_for(lambda: "RoomcastBrokerDown" in prometheus.firing(), lambda: str(prometheus.ask("alerts")), LONG)
    alerts = prometheus.ask("alerts")["alerts"]
    (example, *_) = [each for each in alerts if each["labels"]["alertname"] == "RoomcastBrokerDown"]
    assert example["annotations"]["summary"] == f"{example['labels']['instance']} has no broker."
    assert example["labels"]["severity"] == "critical"
    redis.start()
    wait_for(lambda: "RoomcastBrokerDown" not in prometheus.firing(), lambda: str(prometheus.ask("alerts")), LONG)

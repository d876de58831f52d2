"""docker-compose.yml: what it starts, in which order, and what it lets through. tests/deploy/trial.py runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from roomcast.environment import TAG_VARIABLE
from roomcast_brokers.registry import create
from roomcast_emitter.environment import BROKER_VARIABLE, CLUSTER_VARIABLE, KEYS_VARIABLE
from tests.support.patience import PATIENCE
from tests.support.programs import missing, program
from tests.support.tree import ROOT, tracked_files

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
NODES = {name for name, service in SERVICES.items() if service["image"].startswith("roomcast-example:")}
BALANCERS = {"haproxy", "nginx", "traefik"}
VARIABLE = re.compile(r"\$\{(\w+):-([^}]*)\}")


def environment_file(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


SETS = {name: environment_file(name) for name in (".env", "compose/rabbitmq.env", "compose/kafka.env")}


def broker(name: str) -> str:
    """The URL that nodes get with that file."""
    default: str
    ((_, default),) = VARIABLE.findall(SERVICES["node"]["environment"][BROKER_VARIABLE])
    return SETS[name].get(BROKER_VARIABLE, default)


def started(profiles: set[str]) -> set[str]:
    """The services that run with these profiles."""
    return {
        name for name, service in SERVICES.items() if not service.get("profiles") or profiles & set(service["profiles"])
    }


def client() -> list[str]:
    """A client of Compose, whichever there is; it needs no engine to read a file."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    new = ["docker", "compose"]
    if shutil.which("docker") and subprocess.run([*new, "version"], capture_output=True, check=False).returncode == 0:
        return new
    missing("a client of Compose", "apt install docker-compose")


@pytest.mark.parametrize("name", SETS)
def test_a_client_of_compose_finds_the_file_right(name: str) -> None:
    """It knows the schema, and what it prints has the variables filled in."""
    command = [*client(), "--env-file", name, "config"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load(done.stdout)["services"]
    assert found["worker"]["environment"][BROKER_VARIABLE] == broker(name)
    assert started(set(SETS[name]["COMPOSE_PROFILES"].split(","))) <= found.keys()


@pytest.mark.parametrize(
    "profiles", [{"haproxy"}, {"nginx"}, {"traefik"}, {"haproxy", "rabbitmq"}, {"haproxy", "kafka"}],
    ids=lambda profiles: "-".join(sorted(profiles)),
)
def test_a_set_of_profiles_is_whole(profiles: set[str]) -> None:
    running = started(profiles)
    assert len(running & BALANCERS) == 1
    assert running >= {"redis", "worker", "prometheus", "grafana"}
    nodes = sum(SERVICES[name]["deploy"].get("replicas", 1) for name in running & NODES)
    assert nodes == 3
    for name in running:
        assert set(SERVICES[name].get("depends_on", ())) <= running, name
        for needed, how in SERVICES[name].get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[needed] or needed in NODES, "a node's is in its image"


@pytest.mark.parametrize("name", SETS)
def test_the_environment_files_choose_profiles_and_a_broker_that_exist(name: str) -> None:
    profiles = set(SETS[name]["COMPOSE_PROFILES"].split(","))
    assert profiles <= {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    url = broker(name)
    create(url)  # raises for a URL that no broker takes
    host = re.findall(r"(?:@|//)(\w+):\d+/", url)[-1]
    assert host in started(profiles)
    assert "back" in SERVICES[host]["networks"]


def test_nothing_but_the_application_is_published_to_the_world() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert {name for name, ports in published.items() if ports == ["8080:8080"]} == BALANCERS
    others = [port for name, ports in published.items() if name not in BALANCERS for port in ports]
    assert all(port.startswith("127.0.0.1:") for port in others)
    assert not NODES & published.keys()
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if list(service["networks"]) == ["front"]} == BALANCERS


def test_every_service_has_limits_a_pinned_image_and_few_rights() -> None:
    for name, service in SERVICES.items():
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}, name
        assert service["image"].partition(":")[2] not in {"", "latest"}, name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert "privileged" not in service
    for name in NODES | {"worker"}:
        assert SERVICES[name]["read_only"] is True
        assert SERVICES[name]["cap_drop"] == ["ALL"]


def test_there_is_no_secret_in_a_file() -> None:
    assert all(found.keys() <= {"COMPOSE_PROFILES", BROKER_VARIABLE} for found in SETS.values())
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASS|SECRET|TOKEN|KEYS", key):
                assert value in {f"${{{KEYS_VARIABLE}:-}}"}, f"{name}: {key}"


def test_variables_of_nodes_and_workers_are_those_of_the_code() -> None:
    known = {BROKER_VARIABLE, CLUSTER_VARIABLE, KEYS_VARIABLE, TAG_VARIABLE}
    for name in NODES | {"worker"}:
        environment = SERVICES[name]["environment"]
        assert {key for key in environment if key.startswith("ROOMCAST_")} <= known
        assert environment[CLUSTER_VARIABLE] == SERVICES["node"]["environment"][CLUSTER_VARIABLE]
        assert environment[BROKER_VARIABLE] == SERVICES["node"]["environment"][BROKER_VARIABLE]


def test_what_is_mounted_exists_and_what_is_built_has_its_files() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name}: {source}"
                assert volume.endswith(":ro"), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"]
        if "build" in service:
            dockerfile = (ROOT / service["build"]["dockerfile"]).read_text("utf-8")
            for source in re.findall(r"^COPY (?!--from)(?:--\S+ )*(\S+) ", dockerfile, re.MULTILINE):
                assert (ROOT / source).exists(), f"{service['build']['dockerfile']}: {source}"


def test_the_build_gets_what_it_copies_and_no_more() -> None:
    """.dockerignore lets in the folders of the two Dockerfiles."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    let_in = {line[1:] for line in lines if line.startswith("!") and "/" not in line}
    copied = {
        source.split("/")[0]
        for dockerfile in ("node/Dockerfile", "examples/celery_worker/Dockerfile")
        for source in re.findall(r"^COPY (?!--from)(\S+) ", (ROOT / dockerfile).read_text("utf-8"), re.MULTILINE)
    }
    assert let_in == copied
    assert lines[1] == "*"


def test_grafana_finds_datasource_and_dashboard() -> None:
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    provisioning, dashboards = mounted["./monitoring/grafana/provisioning"], mounted["./monitoring/grafana/dashboards"]
    assert provisioning == "/etc/grafana/provisioning"
    provider = yaml.safe_load((ROOT / "monitoring/grafana/provisioning/dashboards/roomcast.yml").read_text("utf-8"))
    assert provider["providers"][0]["options"]["path"] == dashboards
    source = yaml.safe_load((ROOT / "monitoring/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    assert set(SERVICES["grafana"]["networks"]) & set(SERVICES["prometheus"]["networks"])
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert ROOT / "monitoring/grafana/dashboards" / home.removeprefix(f"{dashboards}/") in tracked_files()


def test_prometheus_reads_the_shipped_folder_and_reaches_the_nodes() -> None:
    prometheus = SERVICES["prometheus"]
    assert "./monitoring:/etc/prometheus:ro" in prometheus["volumes"]
    assert "--config.file=/etc/prometheus/prometheus.yml" in prometheus["command"]
    (job,) = yaml.safe_load((ROOT / "monitoring/prometheus.yml").read_text("utf-8"))["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    for name in NODES:
        networks = SERVICES[name]["networks"]
        (shared,) = set(networks) & set(prometheus["networks"])
        aliases = {name} if isinstance(networks, list) else {name, *networks[shared].get("aliases", ())}
        assert set(discovery["names"]) <= aliases


def test_the_balancers_health_check_can_be_read_by_a_shell() -> None:
    kind, shell, _, script = SERVICES["haproxy"]["healthcheck"]["test"]
    assert (kind, shell) == ("CMD", "bash")
    assert (
        subprocess.run([program("bash", install="apt install bash"), "-n", "-c", script], check=False).returncode == 0
    )

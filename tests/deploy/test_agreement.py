"""What several files have to say alike, they say alike: ports, paths, names, cookies, times, commands.

The image, compose, Kubernetes, the balancers, Prometheus, and the settings and options of the code itself.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from roomcast.environment import TAG_VARIABLE
from roomcast.metrics_port import DEFAULT_PORT
from roomcast.settings import Settings
from roomcast_brokers.publishing import DURABLE_WAITING_AGE, MAX_WAITING_AGE
from tests.support.kustomize import composed, containers, identity
from tests.support.run_options import DOCKERFILE, entrypoint, instruction, options
from tests.support.tree import ROOT

SETTINGS = Settings()
QUIET = SETTINGS.ping_interval + SETTINGS.ping_timeout
"""Seconds for which a connection that is well may carry nothing."""
MARGIN = 20.0
"""Seconds that who kills a node gives it beyond its own times (loadbalancer/README.md)."""

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
NODES = {name: service for name, service in COMPOSE.items() if service["image"].startswith("roomcast-example:")}
NAMED = ("node1", "node2", "node3")

HAPROXY = (ROOT / "loadbalancer" / "haproxy" / "haproxy.cfg").read_text("utf-8")
NGINX = (ROOT / "loadbalancer" / "nginx" / "nginx.conf").read_text("utf-8")
TRAEFIK = yaml.safe_load((ROOT / "loadbalancer" / "traefik" / "traefik.yml").read_text("utf-8"))
TRAEFIK_ROUTES = yaml.safe_load((ROOT / "loadbalancer" / "traefik" / "roomcast.yml").read_text("utf-8"))["http"]

OVERLAY = composed(ROOT / "k8s" / "overlays" / "redis")
DEPLOYMENT, INGRESS, SERVICE = (
    next(each for each in OVERLAY if identity(each) == (kind, "roomcast"))
    for kind in ("Deployment", "Ingress", "Service")
)
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = containers([DEPLOYMENT])

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}


def seconds(text: str) -> float:
    """A time as Docker, HAProxy, nginx and traefik write it."""
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h)?", text).groups()  # type: ignore[union-attr]  # fails the test if not
    return float(number) * SECONDS[unit or "s"]


def of_image() -> argparse.Namespace:
    """The options that the image itself gives."""
    return options(["app:app"])


# --- commands ---------------------------------------------------------------------------------------------------------


COMMANDS = {"k8s": CONTAINER["args"], **{name: service["command"] for name, service in NODES.items()}}


@pytest.mark.parametrize("where", COMMANDS)
def test_a_node_is_started_with_options_that_exist_and_the_example(where: str) -> None:
    given = options(COMMANDS[where])
    assert given.app == "examples.chat.app:app"
    assert (ROOT / "examples" / "chat" / "app.py").is_file()
    assert f'CMD ["{given.app}"]' in DOCKERFILE.read_text("utf-8")


def test_the_image_is_called_alike() -> None:
    assert {service["image"] for service in NODES.values()} == {CONTAINER["image"]}
    version = re.search(r'^version = "(.+)"', (ROOT / "node" / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version is not None
    assert CONTAINER["image"] == f"roomcast-example:{version[1]}"
    assert f"-t {CONTAINER['image']} ." in DOCKERFILE.read_text("utf-8")


def test_the_image_runs_as_the_user_that_kubernetes_names() -> None:
    user = POD["securityContext"]["runAsUser"]
    assert instruction("USER") == f"{user}:{POD['securityContext']['runAsGroup']}"
    assert f"--uid {user} " in DOCKERFILE.read_text("utf-8")


# --- ports and paths --------------------------------------------------------------------------------------------------


def test_ports_of_a_node_are_the_same_everywhere() -> None:
    image = of_image()
    assert (image.host, image.metrics_host) == ("0.0.0.0", "0.0.0.0")
    assert image.metrics_port_fixed
    assert image.metrics_port == DEFAULT_PORT
    assert instruction("EXPOSE") == f"{image.port} {image.metrics_port}"
    assert f"'127.0.0.1', {image.metrics_port}" in instruction("HEALTHCHECK")
    assert {port["name"]: port["containerPort"] for port in CONTAINER["ports"]} == {
        "http": image.port,
        "metrics": image.metrics_port,
    }
    (job,) = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert job["dns_sd_configs"][0]["port"] == image.metrics_port
    assert set(re.findall(r"server-template \S+ \S+ \w+:(\d+)", HAPROXY)) == {str(image.port)}
    assert set(re.findall(r"\bcheck port (\d+)", HAPROXY)) == {str(image.metrics_port)}
    assert set(re.findall(r"^\s*server \w+:(\d+)", NGINX, re.MULTILINE)) == {str(image.port)}
    for url in traefik_servers():
        assert url.endswith(f":{image.port}")
    assert traefik_health()["port"] == image.metrics_port


def traefik_services() -> list[dict[str, Any]]:
    return [service["loadBalancer"] for service in TRAEFIK_ROUTES["services"].values() if "loadBalancer" in service]


def traefik_servers() -> list[str]:
    return [server["url"] for service in traefik_services() for server in service["servers"]]


def traefik_health() -> dict[str, Any]:
    found: dict[str, Any] = traefik_services()[0]["healthCheck"]
    return found


def test_health_is_asked_for_where_it_is() -> None:
    """The listener's own test knows the paths; here they are the same in all files."""
    assert "GET /readyz HTTP" in instruction("HEALTHCHECK")
    assert re.findall(r"option httpchk GET (\S+)", HAPROXY) == ["/readyz"]
    assert traefik_health()["path"] == "/readyz"
    probes = {name: CONTAINER[f"{name}Probe"]["httpGet"]["path"] for name in ("liveness", "readiness", "startup")}
    assert probes == {"liveness": "/healthz", "readiness": "/readyz", "startup": "/healthz"}


def test_balancers_listen_where_compose_publishes_and_asks_for_their_health() -> None:
    for name in ("haproxy", "nginx", "traefik"):
        assert COMPOSE[name]["ports"] == ["8080:8080"]
    assert re.findall(r"^\s*bind :(\d+)", HAPROXY, re.MULTILINE) == ["8080"]
    assert re.findall(r"^\s*listen (\d+)", NGINX, re.MULTILINE) == ["8080"]
    ports = {name: entry["address"] for name, entry in TRAEFIK["entryPoints"].items()}
    assert ":8080" in ports.values()
    for name, text in (("haproxy", HAPROXY), ("nginx", NGINX)):
        asked = COMPOSE[name]["healthcheck"]["test"][-1]
        assert "/8080 " in asked
        assert "/balancer-health" in asked
        assert "/balancer-health" in text
    assert ports[TRAEFIK["ping"]["entryPoint"]] == ":8082"
    assert COMPOSE["traefik"]["healthcheck"]["test"][-1] == "http://127.0.0.1:8082/ping"


def test_configurations_are_mounted_where_programs_look() -> None:
    mounted = dict(
        volume.split(":")[:2] for name in ("haproxy", "nginx", "traefik") for volume in COMPOSE[name]["volumes"]
    )
    assert f"{mounted['./loadbalancer/haproxy']}/haproxy.cfg" in COMPOSE["haproxy"]["command"]
    for path in re.findall(r"^\s*lua-load\S* (\S+)", HAPROXY, re.MULTILINE):
        assert (ROOT / "loadbalancer" / "haproxy" / Path(path).name).is_file()
    assert mounted["./loadbalancer/nginx/nginx.conf"] == "/etc/nginx/nginx.conf"
    routes = mounted["./loadbalancer/traefik/roomcast.yml"]
    watched = TRAEFIK["providers"]["file"]
    assert watched.get("filename", f"{watched.get('directory')}/roomcast.yml") == routes
    assert f"--configFile={mounted['./loadbalancer/traefik/traefik.yml']}" in COMPOSE["traefik"]["command"]


# --- names and cookies ------------------------------------------------------------------------------------------------


def test_nodes_are_called_alike() -> None:
    (template,) = re.findall(r"server-template \w+ 1-(\d+) (\w+):\d+", HAPROXY)
    most, name = int(template[0]), template[1]
    assert name in NODES
    autoscaler = next(each for each in OVERLAY if each["kind"] == "HorizontalPodAutoscaler")["spec"]
    assert most >= max(COMPOSE[name]["deploy"]["replicas"], 5, autoscaler["maxReplicas"])
    assert {url.split("//")[1].split(":")[0] for url in traefik_servers()} == set(NAMED)
    assert set(re.findall(r"^\s*server (\w+):\d+", NGINX, re.MULTILINE)) == set(NAMED)


def test_nginx_knows_the_tags_of_the_named_nodes() -> None:
    given = {COMPOSE[name]["environment"][TAG_VARIABLE]: name for name in NAMED}
    upstreams = dict(re.findall(r"~\^(\w{4})\s+(\w+);", NGINX))
    assert upstreams.keys() == given.keys()
    for tag, upstream in upstreams.items():
        first = re.search(rf"upstream {upstream} {{[^}}]*?server (\w+):", NGINX)
        assert first is not None
        assert first[1] == given[tag]


def test_a_client_keeps_its_cookie_whoever_balances() -> None:
    traefik = SERVICE["metadata"]["annotations"]
    cookies = {
        INGRESS["metadata"]["annotations"]["nginx.ingress.kubernetes.io/session-cookie-name"],
        traefik["traefik.ingress.kubernetes.io/service.sticky.cookie.name"],
        *(service["sticky"]["cookie"]["name"] for service in traefik_services()),
    }
    assert len(cookies) == 1


# --- times ------------------------------------------------------------------------------------------------------------


def grace(name: str) -> tuple[float, argparse.Namespace]:
    """The seconds that a node has from SIGTERM until it is killed, and its options."""
    if name == "k8s":
        command = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
        assert command[0] == "sleep"
        return POD["terminationGracePeriodSeconds"] - float(command[1]), options(CONTAINER["args"])
    return seconds(COMPOSE[name]["stop_grace_period"]), options(COMPOSE[name]["command"])


@pytest.mark.parametrize("name", ["k8s", *NODES])
def test_a_node_has_time_to_drain(name: str) -> None:
    given, command = grace(name)
    assert given >= command.drain_delay + command.drain_seconds + MARGIN


def test_balancers_see_that_a_node_drains_before_it_refuses_anybody() -> None:
    (check,) = re.findall(r"inter (\S+).*fall (\d+)", HAPROXY)
    slowest = max(seconds(check[0]) * int(check[1]), seconds(traefik_health()["interval"]))
    for service in NODES.values():
        assert options(service["command"]).drain_delay >= 2 * slowest
    assert SETTINGS.drain_delay_seconds >= 2 * slowest
    kubernetes = options(CONTAINER["args"])
    waits = float(CONTAINER["lifecycle"]["preStop"]["exec"]["command"][1]) + kubernetes.drain_delay
    assert waits >= 2 * CONTAINER["readinessProbe"]["periodSeconds"] * CONTAINER["readinessProbe"]["failureThreshold"]


def test_no_proxy_gives_up_a_quiet_connection() -> None:
    annotations = INGRESS["metadata"]["annotations"]
    limits = {
        **{
            f"haproxy {name}": seconds(value)
            for name, value in re.findall(r"timeout (client|server|tunnel) (\S+)", HAPROXY)
        },
        **{
            f"nginx {name}": seconds(value)
            for name, value in re.findall(r"(proxy_(?:read|send)_timeout) (\w+);", NGINX)
        },
        **{
            f"ingress {name}": float(annotations[f"nginx.ingress.kubernetes.io/proxy-{name}-timeout"])
            for name in ("read", "send")
        },
    }
    assert len(limits) == 7
    for name, limit in limits.items():
        assert limit > QUIET, name
    for entry in TRAEFIK["entryPoints"].values():
        times = entry.get("transport", {}).get("respondingTimeouts", {})
        assert all(seconds(str(times[name])) in {0.0} or seconds(str(times[name])) > QUIET for name in times), entry


def test_no_proxy_refuses_a_body_that_a_node_takes() -> None:
    sizes = [*re.findall(r"client_max_body_size (\d+)m;", NGINX)]
    sizes.append(INGRESS["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-body-size"].removesuffix("m"))
    assert len(sizes) == 2
    for size in sizes:
        assert int(size) * 1_048_576 >= SETTINGS.max_payload


def test_the_pages_name_the_times_of_the_code() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert f"`--drain-delay` ({SETTINGS.drain_delay_seconds:g} s)" in page
    assert f"`--drain-seconds` ({SETTINGS.drain_seconds:g} s)" in page
    assert f"`--drain-delay` + `--drain-seconds` + {MARGIN:g} s" in page
    assert f"above {QUIET:g} s (`ping_interval` + `ping_timeout`)" in page
    assert f"`publish_buffer_seconds` ({MAX_WAITING_AGE:g} s; a durable broker: {DURABLE_WAITING_AGE:g} s)" in page
    for name in set(re.findall(r"`((?:max|publish|drain|http|require)_[a-z_]+)`", page)):
        assert name in Settings.__struct_fields__, name


def test_options_that_the_page_names_exist() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    unit = re.search(r"^ExecStart=\S+/roomcast (run .*)$", page, re.MULTILINE)
    assert unit is not None
    options_of_unit = unit[1].replace("%i", "8001").split()[1:]
    assert options(options_of_unit).port == 8001
    assert entrypoint()[0] == "run"

"""The manifests in k8s/: they fit the schemas of Kubernetes, and each other."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support.kustomize import Object, composed, containers, documents, identity, without_hashes
from tests.support.patience import PATIENCE
from tests.support.tree import ROOT, tracked_files
from tools.draw_prometheus_rule import main as draw_rule

K8S = ROOT / "k8s"
OVERLAYS = ("redis", "rabbitmq", "kafka")
OLDEST, NEWEST = "1.30", "1.37"
"""Of Kubernetes: the oldest that has everything used here (unhealthyPodEvictionPolicy), and the newest known."""
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator: checked below, there is no schema of them."""


@pytest.fixture(params=OVERLAYS)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    """What an overlay applies."""
    return composed(K8S / "overlays" / request.param)


def one(objects: list[Object], kind: str, name: str = "roomcast") -> Object:
    (found,) = [each for each in objects if identity(each) == (kind, name)]
    return found


def labels_of(pods: Object) -> dict[str, str]:
    """Those of a Deployment's or StatefulSet's pods."""
    found: dict[str, str] = pods["spec"]["template"]["metadata"]["labels"]
    return found


def selects(selector: dict[str, str], objects: list[Object]) -> list[Object]:
    """The Deployments and StatefulSets whose pods it selects."""
    return [
        each
        for each in objects
        if each["kind"] in {"Deployment", "StatefulSet"} and selector.items() <= labels_of(each).items()
    ]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_all_objects_fit_their_schemas(objects: list[Object], version: str) -> None:
    for each in objects:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


def test_a_mistake_would_be_found() -> None:
    wrong = composed(K8S / "base")
    one(wrong, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxSurges"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(one(wrong, "Deployment"), NEWEST, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubectl_composes_the_same(overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed; what is composed here is checked all the same")
    command = [kubectl, "kustomize", str(K8S / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=True)
    theirs = list(yaml.safe_load_all(done.stdout))
    hashed = {each["metadata"]["name"]: "roomcast" for each in theirs if each["kind"] == "ConfigMap"}
    ours = composed(K8S / "overlays" / overlay)
    assert sorted(without_hashes(theirs, hashed), key=identity) == sorted(ours, key=identity)


def test_every_file_is_used() -> None:
    used: set[Path] = set()

    def follow(folder: Path) -> None:
        used.add(folder / "kustomization.yaml")
        (said,) = documents(folder / "kustomization.yaml")
        for path in (folder / each for key in ("resources", "components") for each in said.get(key, ())):
            follow(path.resolve()) if path.is_dir() else used.add(path.resolve())

    for overlay in OVERLAYS:
        follow(K8S / "overlays" / overlay)
    beside = {K8S / "prometheus-adapter.yaml", K8S / "README.md"}
    assert {path for path in tracked_files() if path.is_relative_to(K8S)} <= used | beside


def test_selectors_find_their_pods(objects: list[Object]) -> None:
    node, broker = one(objects, "Deployment"), one(objects, "StatefulSet", "roomcast-broker")
    for pods in (node, broker):
        assert selects(pods["spec"]["selector"]["matchLabels"], objects) == [pods]
    for name, pods in (("roomcast", node), ("roomcast-nodes", node), ("roomcast-broker", broker)):
        assert selects(one(objects, "Service", name)["spec"]["selector"], objects) == [pods]
    assert selects(one(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"], objects) == [node]
    for spread in node["spec"]["template"]["spec"]["topologySpreadConstraints"]:
        assert selects(spread["labelSelector"]["matchLabels"], objects) == [node]
    target = one(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == identity(node)


def named_ports(pods: Object) -> dict[str, int]:
    (container,) = pods["spec"]["template"]["spec"]["containers"]
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def test_ports_are_called_by_names_that_exist(objects: list[Object]) -> None:
    for service in (each for each in objects if each["kind"] == "Service"):
        (pods,) = selects(service["spec"]["selector"], objects)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named_ports(pods).keys()
    for policy in (each for each in objects if each["kind"] == "NetworkPolicy"):
        (pods,) = selects(policy["spec"]["podSelector"]["matchLabels"], objects)
        ports = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert ports <= named_ports(pods).keys()
    backend = one(objects, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    public = one(objects, "Service", backend["name"])["spec"]["ports"]
    assert backend["port"]["name"] in {port["name"] for port in public}
    (node,) = containers([one(objects, "Deployment")])
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        assert node[probe]["httpGet"]["port"] in named_ports(one(objects, "Deployment"))


def test_metrics_are_not_on_the_public_service(objects: list[Object]) -> None:
    assert [port["targetPort"] for port in one(objects, "Service")["spec"]["ports"]] == ["http"]


def test_network_policies_let_nodes_reach_the_broker_and_nobody_else(objects: list[Object]) -> None:
    node, broker = one(objects, "Deployment"), one(objects, "StatefulSet", "roomcast-broker")
    ways_out = one(objects, "NetworkPolicy")["spec"]["egress"]
    outside = [to["podSelector"]["matchLabels"] for rule in ways_out for to in rule["to"] if "podSelector" in to]
    assert [selects(each, objects) for each in outside] == [[broker]]
    ((rule,),) = [one(objects, "NetworkPolicy", "roomcast-broker")["spec"]["ingress"]]
    (let_in,) = rule["from"][0]["podSelector"]["matchExpressions"]
    assert labels_of(node)[let_in["key"]] in let_in["values"]
    assert labels_of(broker)[let_in["key"]] not in let_in["values"]


def test_the_broker_has_the_address_that_nodes_are_told(objects: list[Object]) -> None:
    (node,) = containers([one(objects, "Deployment")])
    values = [each.get("value") for each in node.get("env", ()) if each["name"] == "ROOMCAST_BROKER"]
    url = (values or [one(objects, "ConfigMap")["data"]["ROOMCAST_BROKER"]])[0]
    host, port = re.findall(r"(?://|@)([\w-]+):(\d+)/", url)[-1]
    assert int(port) in {each["port"] for each in one(objects, "Service", host)["spec"]["ports"]}
    assert {reference["configMapRef"]["name"] for reference in node["envFrom"] if "configMapRef" in reference} == {
        "roomcast"
    }


def test_containers_may_do_little_and_are_pinned(objects: list[Object]) -> None:
    for pods in (one(objects, "Deployment"), one(objects, "StatefulSet", "roomcast-broker")):
        spec = pods["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        for container in spec["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            tag = container["image"].partition(":")[2]
            assert tag
            assert tag != "latest"
    (node,) = containers([one(objects, "Deployment")])
    assert node["securityContext"]["readOnlyRootFilesystem"] is True


def test_no_secret_is_in_a_file() -> None:
    for path in (path for path in tracked_files() if path.is_relative_to(K8S) and path.suffix == ".yaml"):
        for each in documents(path):
            assert each.get("kind") != "Secret", path
            assert "secretGenerator" not in each, path


# --- the Prometheus operator's kinds, by the shape that its definitions give them -------------------------------------


def test_the_service_monitor_finds_the_nodes_under_the_name_that_the_rules_know(objects: list[Object]) -> None:
    monitor = one(objects, "ServiceMonitor")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"].keys() <= {"jobLabel", "selector", "endpoints", "namespaceSelector"}
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [
        each for each in objects if each["kind"] == "Service" and wanted <= each["metadata"].get("labels", {}).items()
    ]
    assert [identity(each) for each in services] == [("Service", "roomcast-nodes")]
    (scraped,) = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert services[0]["metadata"]["labels"][monitor["spec"]["jobLabel"]] == scraped["job_name"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint.keys() <= {"port", "path", "interval", "scrapeTimeout"}
    assert endpoint["port"] in {port["name"] for port in services[0]["spec"]["ports"]}


def groups_of(things: list[Object]) -> Iterator[Any]:
    for thing in things:
        yield from thing["groups"]


def test_the_rules_are_those_of_prometheus(objects: list[Object]) -> None:
    rule = one(objects, "PrometheusRule")
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    files = [thing for path in (ROOT / "monitoring" / "rules").glob("*.yml") for thing in documents(path)]
    assert sorted(rule["spec"]["groups"], key=str) == sorted(groups_of(files), key=str)
    assert draw_rule(["--check"]) == 0


def test_the_autoscaler_asks_for_what_the_adapter_gives(objects: list[Object]) -> None:
    (values,) = documents(K8S / "prometheus-adapter.yaml")
    (given,) = values["rules"]["custom"]
    asked = [
        each["pods"]["metric"]["name"]
        for each in one(objects, "HorizontalPodAutoscaler")["spec"]["metrics"]
        if "pods" in each
    ]
    assert asked == [given["name"]["as"]]
    assert given["seriesQuery"].startswith(f"{asked[0]}{{")
    (node,) = containers([one(objects, "Deployment")])
    assert "cpu" in node["resources"]["requests"]

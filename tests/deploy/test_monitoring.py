"""Rules, their own tests, the dashboard and the runbook fit together and to what nodes tell."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from roomcast.core.counters import Counters
from roomcast.exposition.metrics import METRICS
from roomcast.exposition.prometheus import registry_of
from tests.support.pages import anchors
from tests.support.prometheus_server import promtool
from tests.support.tree import ROOT

MONITORING = ROOT / "monitoring"
RULES = sorted((MONITORING / "rules").glob("*.yml"))
RULE_TESTS = sorted((MONITORING / "rules_tests").glob("*.yml"))
DASHBOARD = MONITORING / "grafana" / "dashboards" / "roomcast.json"
OPERATIONS = ROOT / "docs" / "operations.md"

NAME = re.compile(r"\b(?:roomcast_|process_|instance:|job:)\w+(?::\w+)*\b")
MATCHER = re.compile(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"')
OF_PROMETHEUS = {"job", "instance", "namespace", "alertname", "alertstate", "le"}
"""Labels that are not the nodes' own."""


def rules(kind: str) -> Iterator[dict[str, Any]]:
    """All rules with that key: ``alert`` or ``record``."""
    for path in RULES:
        for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
            yield from (rule for rule in group["rules"] if kind in rule)


ALERTS = {rule["alert"]: rule for rule in rules("alert")}


def known_names() -> set[str]:
    """What a node shows, as Prometheus calls it, and what is recorded."""
    names = {rule["record"] for rule in rules("record")}
    for family in registry_of(Counters()).collect():
        parts = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        names |= {f"{family.name}{part}" for part in parts}
    return names


def queries_of_the_dashboard() -> list[str]:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def expressions() -> list[str]:
    """Of rules and dashboard."""
    return [rule["expr"] for kind in ("alert", "record") for rule in rules(kind)] + queries_of_the_dashboard()


def test_promtool_finds_configuration_and_rules_right() -> None:
    done = promtool("check", "config", MONITORING / "prometheus.yml")  # and the rules that it names
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"{len(RULES)} rule files found" in done.stdout


def test_the_rules_do_what_their_tests_say() -> None:
    done = promtool("test", "rules", *RULE_TESTS)
    assert done.returncode == 0, done.stderr + done.stdout


def test_each_alert_is_seen_to_fire() -> None:
    cases = [
        case
        for path in RULE_TESTS
        for test in yaml.safe_load(path.read_text("utf-8"))["tests"]
        for case in test.get("alert_rule_test", ())
    ]
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == ALERTS.keys()


def test_each_rule_that_records_is_tested() -> None:
    text = "".join(path.read_text("utf-8") for path in RULE_TESTS)
    assert not [rule["record"] for rule in rules("record") if rule["record"] not in text]


def test_all_metrics_that_are_asked_for_exist() -> None:
    known = known_names()
    found = {name for expression in expressions() for name in NAME.findall(expression)}
    assert len(found) > 30
    assert not found - known


def test_the_dashboard_shows_every_metric() -> None:
    """Directly, or in what is recorded."""
    recorded = {rule["record"]: rule["expr"] for rule in rules("record")}
    shown: set[str] = set()
    for expression in queries_of_the_dashboard():
        for name in NAME.findall(expression):
            shown |= {name, *NAME.findall(recorded.get(name, ""))}
    assert not {metric.name for metric in METRICS} - {name.removesuffix("_bucket") for name in shown}


def test_labels_and_their_values_exist() -> None:
    values: dict[str, set[str]] = {}
    for family in registry_of(Counters()).collect():
        for sample in family.samples:
            for label, value in sample.labels.items():
                if family.name.startswith("roomcast_"):
                    values.setdefault(label, set()).add(value)
    for expression in expressions():
        for label, wanted in MATCHER.findall(expression):
            if label not in OF_PROMETHEUS:
                assert set(wanted.split("|")) <= values[label], expression


def test_the_queries_of_the_dashboard_can_be_asked(tmp_path: Path) -> None:
    rows = []
    for number, expression in enumerate(queries_of_the_dashboard()):
        for variable, value in (("$__rate_interval", "1m"), ("$node", ".*"), ("$job", "roomcast")):
            expression = expression.replace(variable, value)
        assert "$" not in expression
        rows.append({"record": f"query:{number}", "expr": expression})
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rows}]}), "utf-8")
    done = promtool("check", "rules", path)
    assert done.returncode == 0, done.stderr + done.stdout


def test_panels_do_not_overlap_and_rows_ask_questions() -> None:
    panels = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert all(panel["title"].endswith("?") for panel in panels if panel["type"] == "row")
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor == name.lower()
    assert anchor in anchors(ROOT / page)


def test_the_runbook_has_no_entry_without_an_alert() -> None:
    entries = re.findall(r"^#+ (Roomcast\w+)$", OPERATIONS.read_text("utf-8"), re.MULTILINE)
    assert sorted(entries) == sorted(ALERTS)

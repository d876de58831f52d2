"""A real Prometheus for tests, as Debian packages it, and its ``promtool``.

with PrometheusServer(configuration, rules) as prometheus:
    ...  # prometheus.ask("query", query="up"), prometheus.wait_until(...)
"""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.patience import PATIENCE
from tests.support.programs import program
from tests.support.services import Process, free_port, wait_for

INSTALL = "apt install prometheus"
LONG = 3 * PATIENCE
"""Rules may look at several scrapes before they say something."""


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it; whoever calls looks at the exit code."""
    path = program("promtool", install=INSTALL)
    return subprocess.run([path, *arguments], capture_output=True, text=True, timeout=LONG, check=False)


class PrometheusServer(Process):
    """``configuration`` is that of ``prometheus.yml``; the files of ``rules`` lie beside it under their names."""

    def __init__(self, configuration: Mapping[str, Any], rules: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        self.port = free_port()
        self._files = {"prometheus.yml": configuration, **rules}

    def start(self) -> None:
        """Answering when this returns."""
        path = program("prometheus", install=INSTALL)
        for name, content in self._files.items():
            place = self.folder / name
            place.parent.mkdir(exist_ok=True)
            place.write_text(yaml.safe_dump(content), "utf-8")
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.spawn(path, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={self._at}")
        wait_for(self._ready, lambda: f"prometheus does not serve\n{self.log()}", LONG)

    @property
    def _at(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(self, what: str, **parameters: str) -> Any:
        """The ``data`` of an answer of its API: ``ask("query", query="up")``, ``ask("rules")``."""
        return json.loads(self._get(f"api/v1/{what}?{urllib.parse.urlencode(parameters)}"))["data"]

    def values(self, query: str, label: str = "instance") -> dict[str, float]:
        """The present values of an instant vector, by a label."""
        found = self.ask("query", query=query)["result"]
        return {each["metric"].get(label, ""): float(each["value"][1]) for each in found}

    def names(self) -> set[str]:
        """All metrics that it has samples of."""
        return set(self.ask("label/__name__/values"))

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        return {each["labels"]["alertname"] for each in self.ask("alerts")["alerts"] if each["state"] == "firing"}

    def _ready(self) -> bool:
        assert self.running, f"prometheus ended at once\n{self.log()}"
        try:
            self._get("-/ready")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def _get(self, path: str) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{self._at}/{path}", timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
        return text

"""Draw ``k8s/components/monitoring/prometheusrule.yaml`` from the rules of ``monitoring/rules``.

Prometheus reads rules from files; its operator on Kubernetes reads the same rules from an object around them.
``python tools/draw_prometheus_rule.py`` writes it; with ``--check`` it writes nothing and ends with 1 when the file is
not what it would write.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULES = ROOT / "monitoring" / "rules"
PAGE = ROOT / "k8s" / "components" / "monitoring" / "prometheusrule.yaml"
HEAD = """\
# The rules of monitoring/rules for the Prometheus operator: drawn by tools/draw_prometheus_rule.py.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: roomcast
  labels:
    app.kubernetes.io/name: roomcast
spec:
  groups:
"""
GROUPS = "groups:\n"


def drawn(folder: Path = RULES) -> str:
    """The object; text is moved as it is, comments too. ValueError for a file without ``groups:``."""
    return HEAD + "".join(_indented(path) for path in sorted(folder.glob("*.yml"), reverse=True))


def _indented(path: Path) -> str:
    _, found, groups = path.read_text(encoding="utf-8").partition(GROUPS)
    if not found:
        raise ValueError(f"{path} has no {GROUPS.strip()!r}")
    return "".join(_moved(groups.splitlines(keepends=True)))


def _moved(lines: list[str]) -> Iterator[str]:
    """Two columns to the right; empty lines stay empty."""
    for line in lines:
        yield f"  {line}" if line.strip() else line


def main(arguments: list[str], page: Path = PAGE) -> int:
    """Draw, or check; the exit status."""
    new = drawn()
    if "--check" not in arguments:
        page.write_text(new, encoding="utf-8")
        return 0
    if page.is_file() and page.read_text(encoding="utf-8") == new:
        return 0
    print(f"{page} is not what the rules say: run  python tools/draw_prometheus_rule.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Draw Grafana's dashboard, ``monitoring/grafana/dashboards/roomcast.json``, from the table below.

``python tools/draw_dashboard.py`` writes it; with ``--check`` it writes nothing and ends with 1 when the file is not
what it would write. A row is a question that an operator asks, a panel is a part of the answer. Grafana fills in what
is left out here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

PAGE = Path(__file__).parent.parent / "monitoring" / "grafana" / "dashboards" / "roomcast.json"

COLUMNS = 24  # of Grafana's grid
HEADING, GRAPH, FIGURE = 1, 7, 4  # heights in it
SCHEMA = 39  # of the dashboard: Grafana 10 and newer

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, RED = "green", "red"


class Query(NamedTuple):
    """What is asked for, and how each line of the answer is called."""

    expression: str
    legend: str


class Panel(NamedTuple):
    """``unit`` is one of Grafana's. A ``figure`` is the last value, large; red below, or from, the value given."""

    title: str
    unit: str
    queries: tuple[Query, ...]
    text: str = ""
    figure: bool = False
    red_below: float | None = None
    red_from: float | None = None


class Row(NamedTuple):
    """``panels`` share its width."""

    question: str
    panels: tuple[Panel, ...]


def of(metric: str) -> str:
    """A metric of the nodes that were chosen."""
    return f'{metric}{{job="$job", instance=~"$node"}}'


def rate(metric: str, *by: str) -> str:
    """A counter a second, summed up for each value of ``by``."""
    return f"sum by ({', '.join(by)}) (rate({of(metric)}[$__rate_interval]))"


def figure(title: str, expression: str, **more: Any) -> Panel:
    """One number for all nodes."""
    return Panel(title, "short", (Query(expression, title),), figure=True, **more)


def graph(title: str, unit: str, *queries: tuple[str, str], text: str = "") -> Panel:
    """Lines over time."""
    return Panel(title, unit, tuple(Query(*query) for query in queries), text)


NODE = "{{instance}}"

ROWS = (
    Row(
        "Is everything there?",
        (
            figure("Nodes that answer", 'sum(up{job="$job"})', red_below=1),
            figure("Nodes that do not", 'count(up{job="$job"} == 0) or vector(0)', red_from=1),
            figure("Nodes without a broker", 'count(roomcast_broker_up{job="$job"} == 0) or vector(0)', red_from=1),
            figure("Fewest peers of a node", 'min(roomcast_peers{job="$job"})', text="One less than there are nodes."),
            figure("Clients", 'sum(job:roomcast_clients:sum{job="$job"})'),
            figure(
                "Alerts that fire",
                'count(ALERTS{alertstate="firing", alertname=~"Roomcast.*"}) or vector(0)',
                red_from=1,
                text="docs/operations.md has an entry for each.",
            ),
        ),
    ),
    Row(
        "Who is connected, and where?",
        (
            graph("Clients of each node", "short", (of("instance:roomcast_clients:sum"), NODE)),
            graph(
                "Clients by transport",
                "short",
                (f"sum by (transport) ({of('roomcast_clients')})", "{{transport}}"),
                (f"sum({of('roomcast_sockets')})", "sockets: memberships of a namespace"),
            ),
            graph(
                "Who comes",
                "cps",
                (rate("roomcast_sessions_total", "transport"), "session over {{transport}}"),
                (rate("roomcast_upgrades_total"), "upgrade to WebSocket"),
                (rate("roomcast_upgrades_failed_total"), "upgrade that was not finished"),
                (rate("roomcast_connects_total"), "connect to a namespace"),
            ),
            graph("Who goes, and why", "cps", (f"{rate('roomcast_disconnects_total', 'reason')} > 0", "{{reason}}")),
        ),
    ),
    Row(
        "Does it do its work, and how fast?",
        (
            graph(
                "Events",
                "cps",
                (f"sum by (direction) ({of('instance:roomcast_events:rate5m')})", "{{direction}}"),
                (rate("roomcast_acks_total", "direction"), "acknowledgements, {{direction}}"),
                text="in: from clients; out: to each recipient.",
            ),
            graph(
                "Bytes",
                "Bps",
                (rate("roomcast_bytes_total", "direction"), "{{direction}}"),
                text="Of payload.",
            ),
            graph("Packets", "pps", (rate("roomcast_packets_total", "direction"), "{{direction}}")),
            graph(
                "From one process to another",
                "s",
                ('job:roomcast_relay_latency_seconds:p50_5m{job="$job"}', "half of the messages take less"),
                ('job:roomcast_relay_latency_seconds:p99_5m{job="$job"}', "99 of 100 take less"),
                (f"max({of('roomcast_heartbeat_lag_seconds')})", "a heartbeat, at worst"),
                text="By the clocks of the machines: what they differ is in it. Heartbeats use one clock.",
            ),
        ),
    ),
    Row(
        "Is anything lost between the nodes?",
        (
            graph("Missed here", "short", (of("instance:roomcast_messages_lost:increase5m"), NODE), text="In 5 min."),
            graph(
                "Never left here",
                "short",
                (of("instance:roomcast_publish_dropped:increase5m"), NODE),
                (f"increase({of('roomcast_publish_abandoned_total')}[5m])", f"{NODE}, given up unconfirmed"),
                text="In 5 min.",
            ),
            graph(
                "Signs of trouble",
                "cps",
                (rate("roomcast_broker_reconnects_total"), "broker came back"),
                (rate("roomcast_deaf_total"), "deaf"),
                (rate("roomcast_peers_lost_total"), "peer lost"),
                (rate("roomcast_messages_recanted_total"), "came after it was counted as lost"),
                (rate("roomcast_messages_duplicate_total"), "came twice, dropped"),
                (rate("roomcast_joins_unconfirmed_total"), "room entered before it was confirmed"),
                (rate("roomcast_trackers_evicted_total"), "counter of loss given up"),
            ),
            graph(
                "Refused by the nodes",
                "cps",
                (f"{rate('roomcast_cluster_dropped_total', 'reason')} > 0", "{{reason}}"),
                (rate("roomcast_cluster_newer_total"), "newer minor version, read as far as it is known"),
            ),
        ),
    ),
    Row(
        "Is anybody turned away or cut off?",
        (
            graph("Refused", "cps", (f"{rate('roomcast_refused_total', 'reason')} > 0", "{{reason}}")),
            graph("Closed because they did not read", "cps", (rate("roomcast_slow_consumers_total", "instance"), NODE)),
            graph(
                "Broken or silent",
                "cps",
                (f"{rate('roomcast_parse_errors_total', 'kind')} > 0", "parse error: {{kind}}"),
                (rate("roomcast_ping_timeouts_total"), "ping not answered"),
                (rate("roomcast_volatile_dropped_total"), "volatile packet dropped"),
            ),
            graph(
                "The application fails",
                "cps",
                (f"{rate('roomcast_handler_errors_total', 'handler')} > 0", "{{handler}}"),
                text="Handlers that raised; the log has the traceback.",
            ),
        ),
    ),
    Row(
        "Is there room left?",
        (
            graph(
                "Processor",
                "percentunit",
                (of("instance:process_cpu_seconds:rate5m"), NODE),
                text="A node uses one processor: 100 % is all it can have.",
            ),
            graph(
                "Event loop is late by",
                "s",
                (of("roomcast_loop_lag_seconds"), NODE),
                (f"max({of('roomcast_loop_lag_max_seconds')})", "at worst since the start"),
            ),
            graph("Memory", "bytes", (of("process_resident_memory_bytes"), NODE)),
            graph("File descriptors used", "percentunit", (of("instance:process_open_fds:ratio"), NODE)),
            graph(
                "Bytes that wait",
                "bytes",
                (of("roomcast_outbox_bytes"), f"{NODE}, for clients"),
                (of("roomcast_publish_buffer_bytes"), f"{NODE}, for the broker"),
            ),
        ),
    ),
    Row(
        "What do the nodes say to each other?",
        (
            graph("Published, by kind", "cps", (f"{rate('roomcast_cluster_out_total', 'kind')} > 0", "{{kind}}")),
            graph("Carried out, by kind", "cps", (f"{rate('roomcast_cluster_in_total', 'kind')} > 0", "{{kind}}")),
            graph("Channels subscribed", "short", (of("roomcast_subscriptions"), NODE)),
            graph(
                "Asked of other nodes",
                "cps",
                (f"{rate('roomcast_asks_total', 'end')} > 0", "{{end}}"),
                (f"sum({of('roomcast_pending_acks')})", "answers awaited"),
            ),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """As Grafana reads it."""
    return {
        "uid": "roomcast",
        "title": "roomcast",
        "description": "A cluster of roomcast, by the questions one asks. Drawn by tools/draw_dashboard.py.",
        "tags": ["roomcast"],
        "schemaVersion": SCHEMA,
        "editable": True,
        "refresh": "15s",
        "time": {"from": "now-1h", "to": "now"},
        "graphTooltip": 1,
        "templating": {"list": list(variables())},
        "panels": list(panels()),
    }


def variables() -> Iterator[dict[str, Any]]:
    """What can be chosen on top."""
    yield {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    yield _choice("job", "Cluster", "label_values(roomcast_clients, job)")
    nodes = _choice("node", "Node", 'label_values(roomcast_clients{job="$job"}, instance)')
    yield {**nodes, "multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}


def _choice(name: str, label: str, query: str) -> dict[str, Any]:
    # refresh 2: with every change of the time range, so that new nodes are seen
    return {"name": name, "label": label, "type": "query", "datasource": SOURCE, "query": query, "refresh": 2}


def panels() -> Iterator[dict[str, Any]]:
    """All rows with their panels, one row under the other."""
    numbers = count(1)
    top = 0
    for row in ROWS:
        place = {"x": 0, "y": top, "w": COLUMNS, "h": HEADING}
        yield {"id": next(numbers), "type": "row", "title": row.question, "collapsed": False, "gridPos": place}
        top += HEADING
        height = max(FIGURE if panel.figure else GRAPH for panel in row.panels)
        for index, panel in enumerate(row.panels):
            left, right = (COLUMNS * edge // len(row.panels) for edge in (index, index + 1))
            place = {"x": left, "y": top, "w": right - left, "h": height}
            yield {"id": next(numbers), "gridPos": place, **_panel(panel)}
        top += height


def _panel(panel: Panel) -> dict[str, Any]:
    drawn: dict[str, Any] = {
        "type": "stat" if panel.figure else "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, **_colours(panel)}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query.expression, "legendFormat": query.legend}
            for index, query in enumerate(panel.queries)
        ],
    }
    if not panel.figure:
        drawn["fieldConfig"]["defaults"]["min"] = 0
        drawn["options"] = {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list"}}
    return drawn | ({"description": panel.text} if panel.text else {})


def _colours(panel: Panel) -> dict[str, Any]:
    if panel.red_below is not None:
        steps = [{"color": RED, "value": None}, {"color": GREEN, "value": panel.red_below}]
    elif panel.red_from is not None:
        steps = [{"color": GREEN, "value": None}, {"color": RED, "value": panel.red_from}]
    else:
        return {}
    return {"thresholds": {"mode": "absolute", "steps": steps}}


def main(arguments: list[str], page: Path = PAGE) -> int:
    """Draw, or check; the exit status."""
    new = json.dumps(dashboard(), indent=1) + "\n"
    if "--check" not in arguments:
        page.write_text(new, encoding="utf-8")
        return 0
    if page.is_file() and page.read_text(encoding="utf-8") == new:
        return 0
    print(f"{page} is not what the table says: run  python tools/draw_dashboard.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

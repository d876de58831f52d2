"""The metrics of a node: one row each, with its name, its meaning and where it is read.

``docs/metrics.md`` is generated from here. Names are Prometheus's: ``_total`` for what only rises, units in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from roomcast.core.counters import Counters

Reading = float | Mapping[str, int]


class Metric(msgspec.Struct, frozen=True):
    """``read`` gives one number, or one per value of ``label``. It may run in the thread of whoever scrapes."""

    name: str
    kind: Literal["counter", "gauge"]
    text: str
    read: Callable[[Counters], Reading]
    label: str | None = None


def _counter(name: str, text: str, read: Callable[[Counters], Reading], label: str | None = None) -> Metric:
    return Metric(f"roomcast_{name}_total", "counter", text, read, label)


def _gauge(name: str, text: str, read: Callable[[Counters], Reading], label: str | None = None) -> Metric:
    return Metric(f"roomcast_{name}", "gauge", text, read, label)


def _directions(subject: str) -> Callable[[Counters], Reading]:
    """Reads the pair ``<subject>_in`` (from clients) and ``<subject>_out`` (to clients)."""

    def read(counters: Counters) -> Reading:
        return {direction: getattr(counters, f"{subject}_{direction}") for direction in ("in", "out")}

    return read


METRICS = (
    _gauge("clients", "Open connections.", lambda c: c.measure_clients(), "transport"),
    _gauge("sockets", "Connected sockets: memberships of a namespace.", lambda c: c.measure_sockets()),
    _counter("sessions", "Connections opened, by their first transport.", lambda c: c.sessions, "transport"),
    _counter("upgrades", "Connections moved from polling to WebSocket.", lambda c: c.upgrades),
    _counter("upgrades_failed", "Such moves that were begun and not finished.", lambda c: c.upgrades_failed),
    _counter("connects", "Sockets accepted into a namespace.", lambda c: c.connects),
    _counter("disconnects", "Sockets gone, by the reason the application was told.", lambda c: c.disconnects, "reason"),
    _counter("refused", "Requests, upgrades and connects that were refused.", lambda c: c.refused, "reason"),
    _counter("ping_timeouts", "Pings that were not answered in time.", lambda c: c.ping_timeouts),
    _counter("packets", "Engine.IO packets from (in) and to (out) clients.", _directions("packets"), "direction"),
    _counter("bytes", "Payload bytes from (in) and to (out) clients.", _directions("bytes"), "direction"),
    _counter("events", "Events from clients (in), to each recipient (out).", _directions("events"), "direction"),
    _counter("acks", "Acknowledgements from (in) and to (out) clients.", _directions("acks"), "direction"),
    _counter("parse_errors", "Packets that no client should send.", lambda c: c.parse_errors, "kind"),
    _counter("handler_errors", "Handlers of the application that raised.", lambda c: c.handler_errors, "handler"),
    _gauge("outbox_bytes", "Bytes that wait for clients.", lambda c: c.measure_outbox_bytes()),
    _counter("slow_consumers", "Clients closed because they did not read.", lambda c: c.slow_consumers),
    _counter("volatile_dropped", "Volatile packets dropped for clients behind.", lambda c: c.volatile_dropped),
    _gauge("loop_lag_seconds", "How late the event loop was, the last time.", lambda c: c.loop_lag_last),
    _gauge("loop_lag_max_seconds", "The event loop at its latest since the start.", lambda c: c.loop_lag_max),
)

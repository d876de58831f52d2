"""The metrics of a node: one row each, with its name, its meaning and where it is read.

``docs/metrics.md`` is generated from here. Names are Prometheus's: ``_total`` for what only rises, units in full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from roomcast.core.cluster_counters import LATENCY_BOUNDS_MS, Latency
from roomcast.core.counters import Counters

Reading = float | Mapping[str, int] | Latency


class Metric(msgspec.Struct, frozen=True):
    """``read`` gives a number, one per value of ``label``, or a histogram; perhaps in the thread of who scrapes."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
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
    # --- the cluster; all 0 on a node that stands alone
    _gauge("broker_up", "1 while the broker is there and everything is subscribed.", lambda c: c.cluster.broker_up),
    _counter("broker_reconnects", "Times the broker came back.", lambda c: c.cluster.broker_reconnects),
    _counter("deaf", "Times this node did not hear itself through the broker.", lambda c: c.cluster.deaf),
    _gauge("peers", "Other nodes that are alive.", lambda c: c.cluster.measure_peers()),
    _counter("peers_lost", "Nodes that were not heard of for a lease.", lambda c: c.cluster.peers_lost),
    _gauge(
        "heartbeat_lag_seconds", "The last heartbeat's way to the broker and back.", lambda c: c.cluster.measure_lag()
    ),
    _counter(
        "cluster_out", "Operations and control messages that the broker has.", lambda c: c.cluster.measure_out(), "kind"
    ),
    _counter("cluster_in", "Those of others that were carried out here.", lambda c: c.cluster.received, "kind"),
    _counter(
        "cluster_dropped", "Messages that were not: foreign, broken, unsigned.", lambda c: c.cluster.dropped, "reason"
    ),
    _counter(
        "cluster_newer",
        "Messages of a newer minor version, read as far as it is known.",
        lambda c: c.cluster.measure_newer(),
    ),
    _counter(
        "messages_lost", "Operations of others that were lost on the way here.", lambda c: c.cluster.measure_lost()
    ),
    _counter("messages_recanted", "Of these, such as came after all.", lambda c: c.cluster.measure_recanted()),
    _counter("messages_duplicate", "Repeated operations, dropped.", lambda c: c.cluster.measure_duplicates()),
    _counter("trackers_evicted", "Counters of loss that were given up early.", lambda c: c.cluster.measure_evictions()),
    _gauge("publish_buffer_bytes", "Bytes that wait for the broker.", lambda c: c.cluster.measure_buffer_bytes()),
    _counter("publish_dropped", "Operations that never reached the broker.", lambda c: c.cluster.measure_unpublished()),
    _counter(
        "publish_abandoned",
        "Operations written and not confirmed, given up: who missed one reports it.",
        lambda c: c.cluster.measure_abandoned(),
    ),
    _gauge("subscriptions", "Channels that are subscribed and confirmed.", lambda c: c.cluster.measure_subscriptions()),
    _counter(
        "joins_unconfirmed",
        "Rooms entered before the subscription was confirmed.",
        lambda c: c.cluster.joins_unconfirmed,
    ),
    _gauge("pending_acks", "Answers awaited of other nodes.", lambda c: c.cluster.measure_pending()),
    _counter("asks", "What other nodes were asked, by how it ended.", lambda c: c.cluster.ask_ends, "end"),
    Metric(
        "roomcast_relay_latency_seconds",
        "histogram",
        "From another process to this one, by their clocks.",
        lambda c: c.cluster.latency,
    ),
)

LATENCY_BOUNDS = tuple(str(milliseconds / 1_000) for milliseconds in LATENCY_BOUNDS_MS)

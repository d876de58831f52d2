"""What a node counts: plain integers, written on the hot path, read when somebody scrapes.   [hot]

Rules of this file:

* Counting is one addition on a slot (``counters.packets_in += 1``, 0.015 µs) or on a :class:`Tally` (0.1 µs;
  ``inc()`` of prometheus_client takes 0.25 µs). No lock, no label look-up, no name:
  :mod:`roomcast.exposition.metrics` has the names.
* Label sets are fixed here. What is not foreseen counts as ``other``, so nothing a client sends can make a table grow.
* Values only ever rise, except the gauges, which are asked for at scrape time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from roomcast.core.cluster_counters import ClusterCounters
from roomcast.core.tally import OTHER, Tally

__all__ = ["OTHER", "Counters", "Tally", "refusal_of"]

TRANSPORTS = ("polling", "websocket")

DISCONNECT_REASONS = (
    "client disconnect",
    "server disconnect",
    "transport close",
    "transport error",
    "ping timeout",
    "parse error",
    "slow consumer",
    "connect timeout",
    "server shutting down",
)

# The first six stand in the order of Engine.IO's error codes 0 to 5.
REFUSALS = (
    "transport_unknown",
    "session_unknown",
    "bad_method",
    "bad_request",
    "forbidden",
    "protocol_version",
    "origin",
    "websocket_handshake",
    "body_too_large",
    "body_too_slow",
    "content_encoding",
    "busy",
    "address_rate",
    "namespace",
    "connect_handler",
)

PARSE_ERRORS = (
    "attachments",
    "base64",
    "depth",
    "encoding",
    "event",
    "frame",
    "id",
    "json",
    "msgpack",
    "name",
    "namespace",
    "number",
    "packet",
    "payload",
    "placeholder",
    "too_long",
    "type",
)

HANDLER_KINDS = ("connect", "event", "disconnect", "callback", "background")


def refusal_of(code: int) -> str:
    """The label in ``refused`` for an Engine.IO error code (0 to 5)."""
    return REFUSALS[code] if 0 <= code <= 5 else OTHER


def _no_clients() -> Mapping[str, int]:
    return {}


def _nothing() -> int:
    return 0


class Counters:
    """One per server. The core and the drivers write, the exposition reads.

    ``in`` is from clients, ``out`` is to clients. The node puts its own functions into the three gauges; they are
    called once per scrape and may walk over all clients, on a copy: a user's own registry may be scraped in a thread.
    """

    __slots__ = (
        "acks_in",
        "acks_out",
        "bytes_in",
        "bytes_out",
        "cluster",
        "connects",
        "disconnects",
        "events_in",
        "events_out",
        "handler_errors",
        "loop_lag_last",
        "loop_lag_max",
        "measure_clients",
        "measure_outbox_bytes",
        "measure_sockets",
        "packets_in",
        "packets_out",
        "parse_errors",
        "ping_timeouts",
        "refused",
        "sessions",
        "slow_consumers",
        "upgrades",
        "upgrades_failed",
        "volatile_dropped",
    )

    def __init__(self) -> None:
        # Engine.IO
        self.sessions = Tally(TRANSPORTS)  # opened, by the transport they began with
        self.upgrades = 0
        self.upgrades_failed = 0
        self.ping_timeouts = 0
        self.packets_in = 0
        self.packets_out = 0
        self.bytes_in = 0  # payload of requests and WebSocket messages
        self.bytes_out = 0
        self.refused = Tally(REFUSALS)
        self.parse_errors = Tally(PARSE_ERRORS)
        # Socket.IO
        self.connects = 0  # accepted into a namespace; each has its entry in `disconnects` later
        self.disconnects = Tally(DISCONNECT_REASONS)
        self.events_in = 0
        self.events_out = 0  # one per recipient
        self.acks_in = 0
        self.acks_out = 0
        self.handler_errors = Tally(HANDLER_KINDS)
        # back-pressure
        self.slow_consumers = 0
        self.volatile_dropped = 0
        # the cluster; all 0 on a node that stands alone
        self.cluster = ClusterCounters()
        # the event loop, seconds
        self.loop_lag_last = 0.0
        self.loop_lag_max = 0.0
        # gauges, asked at scrape time
        self.measure_clients: Callable[[], Mapping[str, int]] = _no_clients  # open connections by transport
        self.measure_sockets: Callable[[], int] = _nothing  # memberships of a namespace
        self.measure_outbox_bytes: Callable[[], int] = _nothing  # waiting in all outboxes together

    def lagged(self, seconds: float) -> None:
        """Record how late the loop came to something that was due; early (negative) counts as 0."""
        lag = max(seconds, 0.0)
        self.loop_lag_last = lag
        self.loop_lag_max = max(self.loop_lag_max, lag)

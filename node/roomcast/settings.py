"""Every limit and interval of a node: one field each, with its unit and its reason.

The table in ``docs/settings.md`` is generated from this module. Units are in the names or in the comments: seconds unless
the name ends in ``_ms``; sizes are bytes.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from roomcast.errors import SettingsError
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES

POSITIVE = (
    "ping_interval",
    "ping_timeout",
    "upgrade_timeout",
    "connect_timeout",
    "beat_interval",
    "publish_buffer_seconds",
    "join_timeout",
    "remote_timeout",
)
NOT_NEGATIVE = ("drain_delay_seconds", "drain_seconds")
RATES = ("max_events_per_second", "max_handshakes_per_second", "max_handshakes_per_second_per_address")


class Meaning(msgspec.Struct, frozen=True):
    """What a field bounds or times, for the generated table: its unit, what exceeding it answers, and what None, as the
    default, stands for.
    """

    text: str
    unit: str = ""
    answer: str = ""
    unset: str = "none"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What one node may be told. Immutable: a server keeps the one it was made with."""

    # Engine.IO
    ping_interval: Annotated[float, Meaning("time from a pong (or the opening) to the next ping", "s")] = 25.0
    ping_grace: Annotated[float, Meaning("added to the interval that clients are told", "s")] = 0.0
    ping_timeout: Annotated[float, Meaning("time a client has to answer a ping", "s", "close, `ping timeout`")] = 20.0
    max_payload: Annotated[int, Meaning("one request body or WebSocket message, decoded", "bytes", "413 / close 1009")] = 1_000_000
    max_decode_packets: Annotated[int, Meaning("packets in one polling payload", "packets", "400, session closed")] = 1_000
    allow_upgrades: Annotated[bool, Meaning("polling sessions may move to WebSocket", "", "400")] = True
    upgrade_timeout: Annotated[float, Meaning("time to finish an upgrade", "s", "probe closed, polling continues")] = 10.0
    closing_timeout: Annotated[float, Meaning("time a closing polling session waits for its last GET", "s", "forgotten")] = 30.0
    body_timeout: Annotated[float, Meaning("time to send a request body", "s", "408, close")] = 20.0
    transports: Annotated[tuple[str, ...], Meaning("transports that are served", "", "400 code 0")] = ("polling", "websocket")
    http_compression: Annotated[bool, Meaning("gzip or deflate polling responses")] = True
    compression_threshold: Annotated[int, Meaning("smallest response that is compressed", "bytes")] = 1_024

    # WebSocket
    websocket_compression: Annotated[bool, Meaning("permessage-deflate, without context takeover")] = False
    max_fragments: Annotated[int, Meaning("frames in one WebSocket message, empty ones included", "frames", "close 1008")] = 1_024
    message_timeout: Annotated[float, Meaning("time to finish a fragmented or half-received message", "s", "close 1008")] = 20.0

    # Socket.IO
    connect_timeout: Annotated[float, Meaning("time from opening to the first CONNECT that is accepted", "s", "close")] = 45.0
    max_attachments: Annotated[int, Meaning("attachments of one packet (up to 1,000)", "", "close, `parse error`")] = 10
    attachments_timeout: Annotated[float, Meaning("time to receive all attachments of a packet", "s", "close, `parse error`")] = 10.0
    max_json_depth: Annotated[int, Meaning("nesting of a packet's JSON", "levels", "close, `parse error`")] = 64
    max_integer_digits: Annotated[int, Meaning("digits of an integer in JSON", "digits", "close, `parse error`")] = 32
    max_name_bytes: Annotated[int, Meaning("an event name or namespace from a client, UTF-8", "bytes", "close / CONNECT_ERROR")] = 256
    max_namespaces: Annotated[int, Meaning("namespaces on one connection", "", "CONNECT_ERROR")] = 32
    max_rooms: Annotated[int | None, Meaning("rooms of one socket; none = no limit", "", "ValueError to the application")] = None
    max_dynamic_namespaces: Annotated[int, Meaning("namespaces that exist only because clients named them", "", "CONNECT_ERROR")] = 10_000
    max_held_packets: Annotated[int, Meaning("events held while the connect handler runs", "packets", "close")] = 64
    max_pending_acks: Annotated[int, Meaning("acknowledgements one socket owes", "", "oldest fails with a typed error")] = 1_000

    # back-pressure
    max_backlog_bytes: Annotated[int, Meaning("sent to a client and refused by its transport so far", "bytes", "close 1013, `slow consumer`")] = 1_048_576
    max_backlog_packets: Annotated[int, Meaning("the same, counted in packets", "packets", "close 1013, `slow consumer`")] = 1_000
    volatile_backlog_bytes: Annotated[int, Meaning("backlog above which volatile packets are dropped", "bytes", "dropped, counted")] = 65_536
    max_events_per_second: Annotated[float | None, Meaning("events one connection may send; none = no limit", "1/s", "read paused, closed after 10 s")] = None
    max_sessions: Annotated[int | None, Meaning("sessions of this node; none = by the limit of file descriptors", "", "503, Retry-After")] = None
    max_handshakes_per_second: Annotated[float | None, Meaning("new sessions; none = no limit", "1/s", "503, Retry-After")] = None
    max_handshakes_per_second_per_address: Annotated[float | None, Meaning("new sessions of one IPv4 address or IPv6 /64, at least one at once; none = no limit", "1/s", "503, Retry-After")] = None

    # cluster
    beat_interval: Annotated[float, Meaning("time from one heartbeat through the broker to the next", "s")] = 1.0
    lease_beats: Annotated[int, Meaning("own heartbeats that come back while a node is not heard, after which it is lost", "beats", "its clients and acks end")] = 3
    publish_buffer_bytes: Annotated[int | None, Meaning("operations that wait for the broker; up to 8,388,608 more that it has not confirmed", "bytes", "the oldest are dropped, counted", "8,388,608 bytes; a durable broker: 67,108,864")] = None
    publish_buffer_seconds: Annotated[float | None, Meaning("time that an operation waits for the broker", "s", "dropped, counted", "5 s; a durable broker: 120 s")] = None
    join_timeout: Annotated[float, Meaning("time that `enter_room` waits for the subscription to be confirmed", "s", "returns, counted")] = 1.0
    remote_timeout: Annotated[float, Meaning("time that another node has to put its client into a room", "s", "`TimeoutError`")] = 5.0
    require_broker: Annotated[bool, Meaning("without the broker a node is unready, not merely degraded")] = False
    accept_unsigned: Annotated[bool, Meaning("with keys, take unsigned messages too: only while keys are rolled out", "", "dropped, counted")] = False

    # shutdown
    drain_delay_seconds: Annotated[float, Meaning("time that `roomcast run` serves on after SIGTERM, already unready, so that balancers see it before clients are told to move; longer than two of their checks", "s")] = 5.0
    drain_seconds: Annotated[float, Meaning("time over which clients are told to move when the node stops", "s")] = 5.0

    def __post_init__(self) -> None:
        for name in POSITIVE:
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0:
                raise SettingsError(f"{name} must be above 0 seconds, not {seconds!r}")
        for name in NOT_NEGATIVE:
            if not getattr(self, name) >= 0:
                raise SettingsError(f"{name} must be 0 seconds or more, not {getattr(self, name)!r}")
        for name in RATES:
            rate = getattr(self, name)
            if rate is not None and not rate > 0:
                raise SettingsError(f"{name} must be above 0 a second, or None for no limit, not {rate!r}")
        if not 0 < self.max_attachments <= 1_000:
            raise SettingsError(f"max_attachments must be 1 to 1,000, not {self.max_attachments!r}")
        if self.max_payload < 1:
            raise SettingsError(f"max_http_buffer_size must be at least 1 byte, not {self.max_payload!r}")
        if self.lease_beats < 2:
            raise SettingsError(f"lease_beats must be at least 2, not {self.lease_beats!r}: one beat may be late")
        if self.publish_buffer_bytes is not None and self.publish_buffer_bytes < MAX_MESSAGE_BYTES:
            least = f"{MAX_MESSAGE_BYTES:,} bytes, one message"
            raise SettingsError(f"publish_buffer_bytes must be at least {least}, not {self.publish_buffer_bytes!r}")
        if not self.transports:
            raise SettingsError("transports must name 'polling', 'websocket' or both")

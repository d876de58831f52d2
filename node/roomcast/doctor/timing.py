"""How long everything may take. The sum is told before anything begins."""

from __future__ import annotations

from typing import Final

# Seconds for one request: a deployment that needs longer for a handshake is in trouble already.
REQUEST_SECONDS: Final = 5.0
# The first look makes at most four in a row: with and without checking the certificate, other paths, a WebSocket.
REACH_SECONDS: Final = 4 * REQUEST_SECONDS
# Sessions, WebSockets, upgrades, origins: each a handful of requests in a row, several rows side by side.
ACTIVE_SECONDS: Final = 40.0
# Reaching the broker, hearing beats, looking for nodes that were not met, and emitting.
BROKER_SECONDS: Final = 25.0
# Closing what is open.
END_SECONDS: Final = 5.0

DEFAULT_WAIT: Final = 60.0
"""Seconds for which idle connections are watched at most: twice the default ping interval fits."""
MARGIN: Final = 1.0
"""Seconds that a ping may be late."""

UNENTERED_SECONDS: Final = 40.0
"""Nodes close a connection that has joined no namespace, after 45 s by default. So long it may be watched without."""

REACH_BROKER: Final = 5.0
"""Seconds for the connection to the broker, and for the receipt of an emit."""
TRY_AGAIN: Final = 1.0
"""Seconds for another attempt after one that failed, which may have been bad luck."""
HEARD_AT_LEAST: Final = 2.5
"""Seconds of listening to beats, which come each second by default: twice is certain."""
HEARD_AT_MOST: Final = 6.0
"""Seconds to wait for a node that was met and is not heard, whose beats may be set to be slower."""
ARRIVAL: Final = 3.0
"""Seconds for an event to come from the broker to a client."""


def watching(ping_interval: float, wait: float) -> float:
    """Seconds to watch idle connections: two pings must come, which shows that the answer to the first arrived."""
    return min(2 * ping_interval + MARGIN, wait)


def longest(*, wait: float, quick: bool, broker: bool) -> float:
    """Seconds after which it is over, whatever the deployment does."""
    active = ACTIVE_SECONDS + (BROKER_SECONDS if broker else 0.0)
    watched = 0.0 if quick else wait + 2 * REQUEST_SECONDS
    return REACH_SECONDS + max(active, watched) + END_SECONDS

"""What is measured when somebody scrapes: how many are connected, and how much waits for them.

Scrapes may come from another thread, so each walk is over a copy of the table (made in one step) and changes
nothing: :meth:`Outbox.backlog`, which remembers what it has counted, is not used here.
"""

from __future__ import annotations

from roomcast.core.counters import TRANSPORTS, Counters
from roomcast.core.hub import Hub
from roomcast.core.sockets import CONNECTED
from roomcast.engineio.engine import Engine
from roomcast.engineio.session import Session


def measure(counters: Counters, engine: Engine, hub: Hub | None = None) -> None:
    """Give the counters of one node their gauges. ``hub`` is None for bare Engine.IO, which has no sockets."""

    def clients() -> dict[str, int]:
        found = dict.fromkeys(TRANSPORTS, 0)
        for session in _alive(engine):
            found[session.transport] += 1
        return found

    def outbox_bytes() -> int:
        return sum(_waiting(session) for session in _alive(engine))

    counters.measure_clients = clients
    counters.measure_outbox_bytes = outbox_bytes
    if hub is not None:
        counters.measure_sockets = lambda: _sockets(hub)


def _alive(engine: Engine) -> list[Session]:
    return [session for session in list(engine.sessions.values()) if session.alive]


def _waiting(session: Session) -> int:
    """Bytes of one client: what is queued, and what its transport has not passed on."""
    box = session.outbox
    return sum(map(len, tuple(box.frames))) + box.sink.get_write_buffer_size()


def _sockets(hub: Hub) -> int:
    namespaces = list(hub.namespaces.values())
    return sum(socket.state == CONNECTED for each in namespaces for socket in list(each.sockets.values()))

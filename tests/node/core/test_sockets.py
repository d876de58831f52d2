"""One client in one namespace."""

from __future__ import annotations

from roomcast.core.sockets import CONNECTED, CONNECTING, DOOMED, GONE, LEAVING, Socket
from tests.support.played import Stage


def test_a_socket_begins_connecting_and_empty() -> None:
    stage = Stage(namespaces=["/"])
    client = stage.node.engine.sessions[stage.poller().sid].upper
    namespace = stage.node.hub.namespace("/")
    outbox = stage.poller().session.outbox
    socket = Socket("sid", namespace, client, outbox)  # type: ignore[arg-type]  # the engine knows it as its Upper
    assert (socket.sid, socket.namespace, socket.client, socket.outbox) == ("sid", namespace, client, outbox)
    assert socket.state == CONNECTING
    assert (socket.rooms, socket.session, socket.acks, socket.held, socket.reason) == (None,) * 5
    assert not hasattr(socket, "__dict__")


def test_the_states_are_apart() -> None:
    assert len({CONNECTING, CONNECTED, DOOMED, LEAVING, GONE}) == 5

"""What both servers share: registering, looking up, and the attributes that applications read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from roomcast.core.api import Environs, ServerSurface, chosen_target, is_verbose, make_logger
from roomcast.core.namespaces import NamespaceSurface
from roomcast.core.trace import EventTrace
from roomcast.errors import SettingsError
from tests.support.played import Driver, Peer, make_request


class OneColour(NamespaceSurface):
    """The namespaces of the server under test."""


class Server(ServerSurface):
    """A server of one colour, without a driver."""

    namespace_class = OneColour


def make(logger: Any = False, **options: Any) -> Server:
    return Server(logger, "default", None, True, False, options.pop("namespaces", None), options)


@pytest.fixture
def server() -> Server:
    return make()


@pytest.fixture(autouse=True)
def restored_logger() -> Iterator[None]:
    logger = logging.getLogger("socketio.server")
    before, handlers = logger.level, logger.handlers[:]
    yield
    logger.setLevel(before)
    logger.handlers[:] = handlers


def connected(server: Server) -> tuple[Peer, str]:
    peer = Peer(Driver(server.node.engine, server.node), make_request(b"EIO=4&transport=websocket"))
    peer.opens()
    peer.sends("40")
    return peer, next(iter(server.node.hub.namespaces["/"].sockets))


# --- registering ------------------------------------------------------------------------------------------------------


def test_every_way_to_register(server: Server) -> None:
    def plain(sid: str) -> None:
        """A handler."""

    assert server.on("direct", plain) is None
    assert server.on("decorated")(plain) is plain
    assert server.on("elsewhere", namespace="/chat")(plain) is plain
    assert server.event(plain) is plain
    assert server.event()(plain) is plain
    assert server.event(namespace="/bare")(plain) is plain
    assert server.event(None, "/positional")(plain) is plain
    assert server.handlers == {
        "/": {"direct": plain, "decorated": plain, "plain": plain},
        "/chat": {"elsewhere": plain},
        "/bare": {"plain": plain},
        "/positional": {"plain": plain},
    }


def test_namespace_objects(server: Server) -> None:
    chat = OneColour("/chat")
    server.register_namespace(chat)
    assert chat.server is server
    assert server.namespace_handlers == {"/chat": chat}
    with pytest.raises(ValueError, match="Not a namespace instance"):
        server.register_namespace(OneColour)
    with pytest.raises(ValueError, match="Not a valid namespace class"):
        server.register_namespace(NamespaceSurface("/other"))
    assert list(server.namespace_handlers) == ["/chat"]


# --- looking up -------------------------------------------------------------------------------------------------------


def test_a_client_that_is_there(server: Server) -> None:
    peer, sid = connected(server)
    server.node.enter_room(sid, "room", "/")
    assert server.rooms(sid) == server.rooms(sid, "/") == [sid, "room"]
    assert server.transport(sid) == "websocket"
    environ = server.get_environ(sid)
    assert environ is not None
    assert environ["QUERY_STRING"] == "EIO=4&transport=websocket"
    eio_sid = peer.session.sid
    assert isinstance(server.environ, Environs)
    assert server.environ[eio_sid] is environ
    assert (list(server.environ), len(server.environ)) == ([eio_sid], 1)
    assert server.census()["sockets"] == 1


def test_a_client_that_is_not(server: Server) -> None:
    assert server.rooms("unknown") == []
    assert server.get_environ("unknown", "/chat") is None
    with pytest.raises(KeyError, match="Session not found"):
        server.transport("unknown")
    with pytest.raises(KeyError):
        server.live_session("unknown", None)
    with pytest.raises(KeyError):
        server.store_session("unknown", {}, None)
    with pytest.raises(KeyError):
        server.environ["unknown"]
    assert not any(server.census().values())


def test_the_session_is_one_live_object(server: Server) -> None:
    _, sid = connected(server)
    session = server.live_session(sid, None)
    assert session == {}
    session["user"] = 1
    assert server.live_session(sid, "/") is session
    other = {"user": 2}
    server.store_session(sid, other, None)
    assert server.live_session(sid, None) is other


def test_what_applications_read() -> None:
    server = make(namespaces=["/a"], tag="node", ping_interval=7)
    assert server.namespaces == ["/a"]
    assert server.settings.ping_interval == 7
    assert server.node.sids.tag == "node"
    assert server.reserved_events == ["connect", "disconnect"]
    assert server.reason.CLIENT_DISCONNECT == "client disconnect"
    assert server.counters is server.node.counters
    with pytest.raises(SettingsError):
        make(ping_interval=0)


def test_what_is_not_there_says_so(server: Server) -> None:
    with pytest.raises(NotImplementedError, match="not there yet"):  # who calls it must learn why nothing happens
        server.instrument(None)


# --- loggers ----------------------------------------------------------------------------------------------------------


class OwnLogger:
    """An application's own, which knows less than the standard library's."""


@pytest.mark.parametrize(("option", "level"), [(True, logging.INFO), (False, logging.ERROR)])
def test_a_logger_that_nobody_configured(option: bool, level: int) -> None:
    name = f"tests.core.api.{option}"
    logger = make_logger(option, name)
    assert logger is make_logger(option, name) is logging.getLogger(name)
    assert logger.level == level
    assert len(logger.handlers) == 1


def test_a_logger_that_the_application_configured() -> None:
    configured = logging.getLogger("tests.core.api.configured")
    configured.setLevel(logging.WARNING)
    assert make_logger(True, configured.name) is configured
    assert (configured.level, configured.handlers) == (logging.WARNING, [])
    own = OwnLogger()
    assert make_logger(own, "anything") is own


def test_events_are_traced_for_whoever_wants_them() -> None:
    own = OwnLogger()
    assert is_verbose(own)
    assert isinstance(make(own).node.trace, EventTrace)
    quiet = logging.getLogger("tests.core.api.quiet")
    quiet.setLevel(logging.ERROR)
    server = make(quiet)
    assert server.node.trace is None
    assert not server.verbose
    quiet.setLevel(logging.INFO)
    assert server.verbose


@pytest.mark.parametrize(
    ("to", "room", "target"),
    [
        (None, None, None),
        ("a", None, "a"),
        (None, "b", "b"),
        ("a", "b", "a"),
        ("", "b", ""),
        ([], None, []),
        (0, "b", 0),
    ],
)
def test_only_none_means_everybody(to: Any, room: Any, target: Any) -> None:
    assert chosen_target(to, room) == target

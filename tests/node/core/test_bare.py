"""The colourless half of bare Engine.IO; the drivers' tests show the rest."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.bare import BareServer, BareSession, EngineView, Sockets
from roomcast.core.options import read_options
from roomcast.core.refusals import Refusals
from roomcast.core.work import Notify
from tests.support.played import make_request
from tests.support.sinks import RecordingSink, packets


def server(**options: Any) -> BareServer:
    return BareServer(False, read_options(options))


def opened(eio: BareServer) -> tuple[Any, BareSession, RecordingSink]:
    """A session over what stands for a WebSocket: itself, its application, and where it writes."""
    sink = RecordingSink()
    session = eio.engine.open(make_request(), "websocket", sink, None, 0.0)
    bare = session.upper
    assert isinstance(bare, BareSession)
    return session, bare, sink


def test_messages_go_to_the_handler_in_the_name_of_their_session() -> None:
    eio = server()
    handler = eio.on("message", lambda sid, data: None)
    session, bare, _ = opened(eio)
    assert bare.receive_text(b"4gr\xc3\xbc\xc3\x9fe") == Notify(handler, (session.sid, "grüße"), bare)
    assert bare.receive_binary(b"\x00") == Notify(handler, (session.sid, b"\x00"), bare)


def test_the_end_goes_to_the_handler_with_as_much_as_it_takes() -> None:
    eio = server()
    handler = eio.on("disconnect", lambda sid: None)
    session, bare, _ = opened(eio)
    assert bare.closed("transport close") == Notify(handler, (session.sid,), bare)


def test_nobody_is_told_where_there_is_no_handler() -> None:
    _, bare, _ = opened(server())
    assert bare.receive_text(b"4x") is None


def test_a_text_that_is_none_ends_the_session() -> None:
    eio = server()
    session, bare, _ = opened(eio)
    bare.receive_text(b"4\xff")
    assert not session.alive


def test_the_connect_handler_is_for_the_driver() -> None:
    called: list[Any] = []

    class Recording(BareServer):
        def _connect(self, call: Any, bare: BareSession) -> None:
            called.append((call.fn, bare))

    eio = Recording(False, read_options({}))
    opened(eio)
    assert called == []
    handler = eio.on("connect", lambda sid, environ: None)
    _, bare, _ = opened(eio)
    assert called == [(handler, bare)]


def test_registering_by_call_and_as_decorator() -> None:
    eio = server()

    @eio.on("message")
    def message(sid: str, data: Any) -> None:
        """Does nothing."""

    assert eio.handlers["message"].fn is message
    with pytest.raises(ValueError, match="there are connect, message, disconnect"):
        eio.on("close")


def test_sending() -> None:
    eio = server()
    session, _, sink = opened(eio)
    eio._put(session.sid, "grüße")
    eio._put(session.sid, b"\x00")
    eio._put("stranger", "x")
    eio.engine.flusher.flush()
    assert packets(sink.taken()) == ["4grüße", b"\x00"]


def test_what_the_application_keeps_of_a_session() -> None:
    eio = server()
    session, _, _ = opened(eio)
    assert eio._store(session.sid) is eio._store(session.sid)
    eio._replace(session.sid, {"new": 1})
    assert eio._store(session.sid) == {"new": 1}
    for call in (lambda: eio._store("stranger"), lambda: eio._replace("stranger", {})):
        with pytest.raises(KeyError):
            call()


def test_the_view_of_users() -> None:
    eio = server()
    view = EngineView(eio.engine, Refusals(eio.engine, eio.counters, None), None)
    session, _, _ = opened(eio)
    assert view.transport(session.sid) == "websocket"
    assert len(view.generate_id()) == 20
    assert list(view.sockets) == [session.sid]
    assert view.sockets[session.sid] is session
    assert len(Sockets(eio.engine)) == 1
    list(view._ends("stranger"))
    list(view._ends(None))
    assert not view.sockets
    with pytest.raises(KeyError):
        view.transport(session.sid)
    with pytest.raises(NotImplementedError):
        view.get_queue_empty_exception()


def test_everything_that_passes_through_is_told_to_a_talkative_logger(caplog: pytest.LogCaptureFixture) -> None:
    import logging

    logger = logging.getLogger("test.bare")
    eio = server()
    with caplog.at_level(logging.INFO, "test.bare"):
        EngineView(eio.engine, Refusals(eio.engine, eio.counters, None), logger)
    assert eio.engine.trace is not None


def test_a_session_of_its_own_slots() -> None:
    assert BareSession.__slots__ == ("environ", "server", "session", "store")

"""Long polling under WSGI: one request per call; the rules are the engine's (wire.md 1.5, 1.6)."""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from roomcast.drivers.blocking.answers import Answer
from roomcast.drivers.blocking.handover import HandedOver, take
from roomcast.drivers.blocking.sockets import SocketConnection
from roomcast.engineio import response
from roomcast.engineio.admission import Continue, Handshake, Preflight

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime
    from roomcast.engineio.request import Request
    from roomcast.engineio.response import Response
    from roomcast.engineio.session import Session

# A poll that waits in a thread of the WSGI server is answered by the engine at the latest with the next ping; it waits
# so much longer (seconds) before that is taken for a fault of ours.
SLACK = 5.0


class HeldPoll(SocketConnection):
    """A GET that waits on a socket which its WSGI server gave away. Its answer ends the connection."""

    def __init__(self, runtime: Runtime, sock: socket.socket, session: Session) -> None:
        super().__init__(runtime, sock)
        self._session: Session | None = session

    def answer(self, answer: Response) -> None:
        """Called by the engine, once."""
        self._session = None
        self.reading = False
        self.write(response.render(answer))
        self.close()

    def lost(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            self.runtime.do(self.runtime.engine.poll_lost(session))


def handle_http(runtime: Runtime, request: Request, environ: dict[str, Any], theirs: int | None) -> Response:
    """Answer one HTTP request for the engine.

    ``theirs`` is the descriptor of its connection, where it may be taken: a poll that waits does so there, and
    HandedOver is raised.
    """
    engine = runtime.engine
    with runtime.turn:
        outcome = engine.admit(request, upgrade=False)
        if isinstance(outcome, Handshake):
            return engine.busy(request, engine.now) or engine.open_polling(request, engine.now)
        if isinstance(outcome, Preflight):
            return engine.policy.preflight(request)
        if not isinstance(outcome, Continue):
            return runtime.refusals.answer(request, outcome)
    session: Any = outcome.session
    if request.method == "POST":
        return _post(runtime, session, request, environ)
    return _poll(runtime, session, request, theirs)


def _poll(runtime: Runtime, session: Session, request: Request, theirs: int | None) -> Response:
    """A GET: answered at once, or held: on its socket, or else in this task."""
    answer = Answer(runtime.concurrency.make_event())
    held: HeldPoll | None = None

    def answered(payload: Response) -> None:
        if held is None:
            answer.settle((payload,), None)
        else:
            held.answer(payload)

    with runtime.turn:
        runtime.do(runtime.engine.poll(session, request, answered))
        if not answer.settled and theirs is not None:
            held = HeldPoll(runtime, take(runtime, theirs), session)
            held.begin()
    if held is not None:
        raise HandedOver
    settings = runtime.engine.settings
    try:
        (found,) = answer.wait(settings.ping_interval + settings.ping_timeout + SLACK)
    except TimeoutError:
        with runtime.turn:
            runtime.do(runtime.engine.poll_lost(session))
        return response.empty(400, extra=runtime.engine.policy.headers(request))
    result: Response = found
    return result


def _post(runtime: Runtime, session: Session, request: Request, environ: dict[str, Any]) -> Response:
    """A POST: the body within its bounds, then packet by packet; the answer comes after all of them."""
    engine = runtime.engine
    with runtime.turn:
        refusal, work = engine.post_begins(session, request)
        runtime.do(work)
    if refusal is not None:
        return refusal
    body, status, label = read_body(environ, engine.settings.max_payload)
    if status:
        runtime.counters.refused.count(label)
        with runtime.turn:
            engine.post_ends(session)
            if status == 408:
                runtime.do(engine.post_lost(session))
        return response.empty(status, extra=engine.policy.headers(request))
    with runtime.turn:
        answer, pause = _process(runtime, engine.post(session, request, body, engine.now))
    if pause:
        runtime.concurrency.sleep(pause)
    runtime.wait_until_caught_up(session.upper)
    return answer


def _process(runtime: Runtime, steps: Generator[Any, None, Response]) -> tuple[Response, float]:
    """Do the work of a POST; its answer, and how long (seconds) the client is to wait for it."""
    pause = 0.0
    while True:
        try:
            pause = max(pause, runtime.do(next(steps)) or 0.0)
        except StopIteration as end:
            return end.value, pause


def read_body(environ: dict[str, Any], limit: int) -> tuple[bytes, int, str]:
    """The whole body of a request: (body, 0, ""), or (b"", status, label) for one that is too large or was cut off."""
    if environ.get("HTTP_CONTENT_ENCODING", "identity") not in ("", "identity"):
        return b"", 415, "content_encoding"
    announced = environ.get("CONTENT_LENGTH") or "0"
    if not announced.isdigit():
        return b"", 400, "body_too_large"
    size = int(announced)
    if size > limit:
        return b"", 413, "body_too_large"
    try:
        body: bytes = environ["wsgi.input"].read(size)
    except OSError:  # it went away, or took longer than its server waits
        return b"", 408, "body_too_slow"
    return (body, 0, "") if len(body) == size else (b"", 408, "body_too_slow")

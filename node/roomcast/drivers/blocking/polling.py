"""Long polling under WSGI: one request per call; the rules are the engine's (wire.md 1.5, 1.6)."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from roomcast.drivers.blocking.bodies import read_body
from roomcast.drivers.blocking.later import Later
from roomcast.engineio.admission import Continue, Handshake, Preflight
from roomcast.engineio.bodies import BodyError

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime
    from roomcast.engineio.request import Request
    from roomcast.engineio.response import Response
    from roomcast.engineio.session import Session

# Polls that may wait in tasks of a WSGI server, each until there is something to say, before tasks are taken for
# scarce: small servers have four. Beyond that a poll is answered after so long (seconds) with nothing to say: clients
# come back, and others have had their turn.
FREE_POLLS = 3
SHORT_POLL = 1.0
# The engine answers a poll with the next ping at the latest; a task that waits is answered so much later (seconds)
# whatever has happened.
SLACK = 5.0
# A polling client whose handlers have not caught up with it has its POST answered this much later (seconds) at most.
CATCH_UP_PATIENCE = 30.0


def handle_http(runtime: Runtime, request: Request, environ: dict[str, Any], theirs: int | None) -> Response:
    """Answer one HTTP request for the engine.

    ``theirs`` is the descriptor of its connection, where it may be taken: what waits does so there, and HandedOver is
    raised.
    """
    engine = runtime.engine
    with runtime.turn:
        outcome = engine.admit(request, upgrade=False)
        if isinstance(outcome, Handshake):
            return engine.busy(request, engine.now) or engine.open_polling(request, engine.now, theirs is not None)
        if isinstance(outcome, Preflight):
            return engine.policy.preflight(request)
        if not isinstance(outcome, Continue):
            return runtime.refusals.answer(request, outcome)
    session: Any = outcome.session
    if request.method == "POST":
        return _post(runtime, session, request, environ, theirs)
    return _poll(runtime, session, request, theirs)


def _poll(runtime: Runtime, session: Session, request: Request, theirs: int | None) -> Response:
    """A GET: answered at once, or held: on its socket, or else in this task."""
    engine = runtime.engine
    later = Later(runtime, theirs)
    with runtime.turn:
        runtime.do(engine.poll(session, request, later.give))
        waits_here = not later.given and not later.hold(lambda: engine.poll_lost(session))
        runtime.polls_in_tasks += waits_here
        crowded = runtime.polls_in_tasks > FREE_POLLS
    if not waits_here:
        return later.wait()
    try:
        return later.wait(SHORT_POLL if crowded else engine.settings.ping_interval + SLACK)
    except TimeoutError:
        with runtime.turn:
            if not later.given:
                engine.poll_over(session)
        return later.wait()
    finally:
        with runtime.turn:
            runtime.polls_in_tasks -= 1


def _post(
    runtime: Runtime, session: Session, request: Request, environ: dict[str, Any], theirs: int | None
) -> Response:
    """A POST: the body within its bounds, then packet by packet; the answer comes after all of them, and when the
    client is to send more.
    """
    engine = runtime.engine
    with runtime.turn:
        refusal, work = engine.post_begins(session, request)
        runtime.do(work)
    if refusal is not None:
        return refusal
    try:
        body = read_body(runtime, request, environ, theirs)
    except BodyError as error:
        with runtime.turn:
            answer, work = engine.post_failed(session, request, error)
            runtime.do(work)
        return answer
    later = Later(runtime, theirs)
    with runtime.turn:
        answer, pause = _process(runtime, engine.post(session, request, body, engine.now))
        _give_in_time(runtime, session, later, answer, pause)
        if not later.given:
            later.hold(_nothing)
    return later.wait()


def _process(runtime: Runtime, steps: Generator[Any, None, Response]) -> tuple[Response, float]:
    """Do the work of a POST; its answer, and how long (seconds) the client is to wait for it."""
    pause = 0.0
    while True:
        try:
            pause = max(pause, runtime.do(next(steps)) or 0.0)
        except StopIteration as end:
            return end.value, pause


def _give_in_time(runtime: Runtime, session: Session, later: Later, answer: Response, pause: float) -> None:
    """Give the answer now, or when the client has waited for ``pause`` and its handlers have caught up with it."""
    deadlines, now = runtime.engine.deadlines, runtime.engine.now
    if pause:
        deadlines.add(now + pause, lambda _: _give_in_time(runtime, session, later, answer, 0.0))
    elif runtime.is_behind(session.upper):
        deadline = deadlines.add(now + CATCH_UP_PATIENCE, lambda _: later.give(answer))

        def caught_up() -> None:
            deadlines.cancel(deadline)
            later.give(answer)

        runtime.when_caught_up(session.upper, caught_up)
    else:
        later.give(answer)


def _nothing() -> None:
    """Whether its client still waits for the answer to a POST changes nothing."""

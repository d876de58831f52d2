"""Long polling on asyncio, whatever the HTTP server: one coroutine per request; the rules are the engine's (wire.md
1.5, 1.6).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from roomcast.engineio import response
from roomcast.engineio.admission import Continue, Handshake, Preflight
from roomcast.engineio.bodies import TOO_LARGE, TOO_SLOW, BodyError, check_head
from roomcast.engineio.response import Response

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.runtime import Runtime
    from roomcast.engineio.request import Request
    from roomcast.engineio.session import Session

# A body of many packets lets others have a turn after each millisecond of work (limits.md).
SLICE = 0.001


class CutOffError(BodyError):
    """The client has gone: nobody is left to read an answer."""

    def __init__(self) -> None:
        super().__init__(*TOO_SLOW)


class Incoming(Protocol):
    """What is still to come of a request."""

    async def part(self) -> bytes | None:
        """The next part of the body; None at its end. Raises CutOffError when the client has gone, BodyError for a body
        that cannot be read.
        """

    async def gone(self) -> None:
        """Return when the client has gone. Called once the body has been read, or when there is none."""


async def answer_http(
    runtime: Runtime, request: Request, incoming: Incoming, *, upgradable: bool = True
) -> Response | None:
    """The engine's answer to one HTTP request; None when nobody is left to read it.

    ``upgradable``: the server it came through can make WebSockets.
    """
    engine = runtime.engine
    runtime.awaken()
    runtime.catch_up()
    outcome = engine.admit(request, upgrade=False)
    answer: Response | None
    if isinstance(outcome, Handshake):
        now = runtime.time()
        answer = engine.busy(request, now) or engine.open_polling(request, now, upgradable)
    elif isinstance(outcome, Continue):
        session: Any = outcome.session
        if request.method == "POST":
            answer = await _post(runtime, session, request, incoming)
        else:
            answer = await _poll(runtime, session, request, incoming)
    elif isinstance(outcome, Preflight):
        answer = engine.policy.preflight(request)
    else:
        answer = runtime.refusals.answer(request, outcome)
    if answer is not None and request.method == "HEAD":
        return response.without_body(answer)
    return answer


async def _poll(runtime: Runtime, session: Session, request: Request, incoming: Incoming) -> Response | None:
    """A GET: answered at once, or held until there is something to say or the client is gone."""
    answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def answer(payload: Response) -> None:
        if not answered.done():
            answered.set_result(payload)

    runtime.do(runtime.engine.poll(session, request, answer))
    if answered.done():
        return answered.result()
    gone = asyncio.ensure_future(incoming.gone())
    try:
        await asyncio.wait((answered, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not answered.done():
            answered.cancel()
            runtime.do(runtime.engine.poll_lost(session))
    return None if answered.cancelled() else answered.result()


async def _post(runtime: Runtime, session: Session, request: Request, incoming: Incoming) -> Response | None:
    """A POST: the body within its bounds, then packet by packet; the answer comes after all of them."""
    engine = runtime.engine
    refusal, work = engine.post_begins(session, request)
    runtime.do(work)
    if refusal is not None:
        return refusal
    try:
        body = await _read_body(runtime, request, incoming)
    except BodyError as error:
        answer, work = engine.post_failed(session, request, error)
        runtime.do(work)
        return None if isinstance(error, CutOffError) else answer
    except asyncio.CancelledError:
        runtime.do(engine.post_lost(session))
        raise
    steps = engine.post(session, request, body, runtime.time())
    until = runtime.time() + SLICE
    while True:
        try:
            work = next(steps)
        except StopIteration as end:
            done: Response = end.value
            return done
        waiting = runtime.must_wait(work, runtime.do(work))
        if waiting is not None:
            await asyncio.wait((waiting.task,))
        if runtime.time() > until:
            await asyncio.sleep(0)
            until = runtime.time() + SLICE


async def _read_body(runtime: Runtime, request: Request, incoming: Incoming) -> bytes:
    """The whole body; raises BodyError for one that is too large, too slow, encoded, or cut off."""
    settings = runtime.engine.settings
    check_head(request, settings.max_payload)
    try:
        async with asyncio.timeout(settings.body_timeout):
            return await _collect(incoming, settings.max_payload)
    except TimeoutError as error:
        raise BodyError(*TOO_SLOW) from error


async def _collect(incoming: Incoming, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while (part := await incoming.part()) is not None:
        size += len(part)
        if size > limit:
            raise BodyError(*TOO_LARGE)
        parts.append(part)
    return b"".join(parts)

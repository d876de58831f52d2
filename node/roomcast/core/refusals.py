"""What is answered to a request that may not come in, counted; and the line in the log about a refused origin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from roomcast.core.counters import refusal_of
from roomcast.engineio import response
from roomcast.engineio.admission import Handshake, Outcome, Refusal
from roomcast.engineio.response import Response
from roomcast.websocket.handshake import Accepted, Refused, accept

if TYPE_CHECKING:
    from roomcast.core.counters import Counters
    from roomcast.engineio.engine import Engine
    from roomcast.engineio.request import Request

# Of an origin in the log: strangers choose how long theirs is.
MAX_ORIGIN = 256


class Refusals:
    """Those of one server. ``logger`` is Engine.IO's."""

    def __init__(self, engine: Engine, counters: Counters, logger: Any) -> None:
        self.logger = logger
        self._engine = engine
        self._counters = counters
        self._refused_origin = False

    def answer(self, request: Request, outcome: object) -> Response:
        """Count and word a refusal; anything else than a :class:`Refusal` is a bad request."""
        if not isinstance(outcome, Refusal):
            return response.error(400, 3, "Bad request")
        self._counters.refused.count("origin" if outcome.reason == "origin" else refusal_of(outcome.code))
        allowed = None
        if outcome.reason == "origin":
            allowed = False
            self._log(request)
        return outcome.response(extra=self._engine.policy.headers(request, allowed))

    def judge_upgrade(self, request: Request, now: float) -> Response | tuple[Outcome, Accepted]:
        """A request to become a WebSocket, judged first as Engine.IO does, then as a handshake: the answer to one that
        may not, counted; else what it is to the sessions there are, and the 101.
        """
        engine = self._engine
        outcome = engine.admit(request, upgrade=True)
        if isinstance(outcome, Refusal):
            return self.answer(request, outcome)
        if isinstance(outcome, Handshake) and (busy := engine.busy(request, now)) is not None:
            return busy
        answer = accept(
            request.method,
            request.http_version,
            request.header,
            deflate=engine.settings.websocket_compression,
            extra_headers=engine.extra_headers(request),
        )
        if isinstance(answer, Refused):
            self._counters.refused.count("websocket_handshake")
            return response.text(answer.status, answer.reason, extra=answer.headers)
        return outcome, answer

    def _log(self, request: Request) -> None:
        """The first as an error, for it tells of a setting that is missing."""
        log = self.logger.info if self._refused_origin else self.logger.error
        self._refused_origin = True
        origin = (request.header(b"origin") or b"")[:MAX_ORIGIN].decode("ascii", "backslashreplace")
        log("%s is not an accepted origin. See the option cors_allowed_origins", origin)

"""Who may come in: every check on a request before anything is done for it, in one order (wire.md 1.4).

Nothing here changes state, so a refused request leaves nothing behind. Differences from Node's server, each safer: a
refused origin is refused first; the revision is checked before a WebSocket is accepted; ``allow_upgrades`` is obeyed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from roomcast.engineio import response
from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.request import Request
from roomcast.engineio.response import Headers, Response
from roomcast.settings import Settings

POLLING: Final = "polling"
WEBSOCKET: Final = "websocket"
TRANSPORTS: Final = frozenset({POLLING, WEBSOCKET})
REVISION: Final = "4"

_POLLING_METHODS = frozenset({"GET", "POST"})


class SessionView(Protocol):
    """What the checks need to know of a session."""

    @property
    def transport(self) -> str:
        """The transport that carries it now."""

    @property
    def upgrading(self) -> bool:
        """Whether another WebSocket is a candidate for it."""


class Refusal(msgspec.Struct, frozen=True):
    """No. ``reason`` is one of a fixed set of words, for counting; the other fields are what the client reads."""

    status: int
    code: int
    message: str
    reason: str

    def response(self, *, extra: Headers = ()) -> Response:
        """The plain HTTP answer, to an upgrade request too."""
        if self.status == 405:
            extra = ((b"allow", b"GET, POST, OPTIONS"), *extra)
        return response.error(self.status, self.code, self.message, extra=extra)


class Preflight(msgspec.Struct, frozen=True):
    """A browser asks what it may send: answer :meth:`OriginPolicy.preflight`."""


class Handshake(msgspec.Struct, frozen=True):
    """A new session may begin on that transport."""

    transport: str


class Continue(msgspec.Struct, frozen=True):
    """A polling GET or POST of a session that is carried by polling."""

    session: SessionView


class Upgrade(msgspec.Struct, frozen=True):
    """A WebSocket wants to take the session over: accept it as the candidate."""

    session: SessionView


class Surplus(msgspec.Struct, frozen=True):
    """A WebSocket for a session that has one, or a candidate: accept it (101) and close it at once; change nothing."""

    session: SessionView


Outcome = Refusal | Preflight | Handshake | Continue | Upgrade | Surplus

ORIGIN_REFUSED = Refusal(400, 3, "Bad request", "origin")
PREFLIGHT_OFF = Refusal(400, 2, "Bad handshake method", "method")
TRANSPORT_UNKNOWN = Refusal(400, 0, "Transport unknown", "transport")
SID_UNKNOWN = Refusal(400, 1, "Session ID unknown", "sid")
BAD_METHOD = Refusal(400, 2, "Bad handshake method", "method")
METHOD_NOT_ALLOWED = Refusal(405, 3, "Bad request", "method")
TRANSPORT_MISMATCH = Refusal(400, 3, "Bad request", "transport mismatch")
REVISION_MISMATCH = Refusal(400, 3, "Bad request", "revision")
UPGRADES_OFF = Refusal(400, 3, "Bad request", "upgrades off")
NOT_AN_UPGRADE = Refusal(400, 3, "Bad request", "no upgrade")
FORBIDDEN = Refusal(403, 4, "Forbidden", "forbidden")
REVISION_UNSUPPORTED = Refusal(400, 5, "Unsupported protocol version", "revision")

_PREFLIGHT = Preflight()
_HANDSHAKES = {name: Handshake(name) for name in TRANSPORTS}


def admit(
    request: Request,
    *,
    lookup: Callable[[str], SessionView | None],
    policy: OriginPolicy,
    settings: Settings,
    upgrade: bool,
) -> Outcome:
    """What may be done for this request; ``upgrade`` says that it asks to become a WebSocket.

    ``lookup`` gives the session of a sid, or None. The caller adds ``policy.headers`` to whatever it answers.
    """
    if request.method == "OPTIONS" and not policy.active:
        return PREFLIGHT_OFF
    if not policy.allows(request):
        return ORIGIN_REFUSED
    if request.method == "OPTIONS":
        return _PREFLIGHT
    params = request.params()
    transport = params.get("transport")
    if transport not in TRANSPORTS or transport not in settings.transports:
        return TRANSPORT_UNKNOWN
    sid = params.get("sid")
    if not sid:
        return _admit_handshake(request, transport, params.get("EIO"), upgrade)
    session = lookup(sid)
    if session is None:
        return SID_UNKNOWN
    if params.get("EIO") != REVISION:
        return REVISION_MISMATCH
    if upgrade:
        return _admit_upgrade(transport, session, settings)
    return _admit_polling(request, transport, session)


def _admit_handshake(request: Request, transport: str, revision: str | None, upgrade: bool) -> Outcome:
    if request.method != "GET":
        return BAD_METHOD
    if (transport == WEBSOCKET) is not upgrade:
        return NOT_AN_UPGRADE
    if revision != REVISION:
        return REVISION_UNSUPPORTED
    return _HANDSHAKES[transport]


def _admit_upgrade(transport: str, session: SessionView, settings: Settings) -> Outcome:
    if transport != WEBSOCKET:
        return TRANSPORT_MISMATCH
    if session.transport == WEBSOCKET or session.upgrading:
        return Surplus(session)
    if not settings.allow_upgrades:
        return UPGRADES_OFF
    return Upgrade(session)


def _admit_polling(request: Request, transport: str, session: SessionView) -> Outcome:
    if transport != POLLING or session.transport != POLLING:
        return TRANSPORT_MISMATCH
    if request.method not in _POLLING_METHODS:
        return METHOD_NOT_ALLOWED
    return Continue(session)

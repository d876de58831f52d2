"""The first look: connect, check the certificate, open one session, and look for it elsewhere if it is not there."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import msgspec

from roomcast.doctor.answers import TRANSPORT_UNKNOWN, Answer, Trouble, engine_code
from roomcast.doctor.judging.reach import FirstLook, TlsSeen
from roomcast.doctor.packets import CLOSE, query
from roomcast.doctor.probing.http import Headers, HttpClient
from roomcast.doctor.probing.polling import POLLING, PollingLink, read_opened
from roomcast.doctor.probing.websocket import WebSocketLink
from roomcast.doctor.target import Target, other_paths

_DAY = 86_400.0


def make_client(target: Target, headers: Headers = (), authority: Path | None = None) -> HttpClient:
    """A client that checks certificates, by the system's authorities and one more. Raises OSError for its file."""
    context = ssl.create_default_context() if target.secure else None
    if context is not None and authority is not None:
        context.load_verify_locations(authority)
    return HttpClient(target, headers, context)


async def first_look(client: HttpClient) -> FirstLook:
    """Whether and how the deployment answers. A certificate that is not accepted is not checked from then on."""
    outcome, link = await PollingLink.open(client, cookies=True)
    fault = None
    if isinstance(outcome, Trouble) and outcome.kind == "certificate":
        fault = outcome.text
        client.context = ssl._create_unverified_context()
        outcome, link = await PollingLink.open(client, cookies=True)
    look = FirstLook(client.target, outcome, tls=_tls(client, fault))
    if link is not None:
        await link.close()
        return msgspec.structs.replace(look, opened=link.opened)
    if engine_code(outcome) == TRANSPORT_UNKNOWN:
        return await _by_websocket(client, look)
    if isinstance(outcome, Answer) and outcome.status not in (502, 503, 504) and engine_code(outcome) is None:
        return msgspec.structs.replace(look, elsewhere=await _elsewhere(client))
    return look


async def _by_websocket(client: HttpClient, look: FirstLook) -> FirstLook:
    _, link = await WebSocketLink.open(client)
    if link is None:
        return look
    await link.close()
    return msgspec.structs.replace(look, opened=link.opened)


async def _elsewhere(client: HttpClient) -> tuple[str, ...]:
    """The first other path at which an Engine.IO server answers."""
    for path in other_paths(client.target.path):
        outcome = await client.ask("GET", query(POLLING), path=path)
        opened = read_opened(outcome)
        if opened is not None:
            await client.ask("POST", query(POLLING, opened.sid), CLOSE.encode(), path=path)
            return (path,)
    return ()


def _tls(client: HttpClient, fault: str | None) -> TlsSeen | None:
    if not client.target.secure:
        return None
    version, certificate = client.tls or ("TLS", {})
    return TlsSeen(version, _days_left(certificate), fault)


def _days_left(certificate: dict[str, Any]) -> float | None:
    end = certificate.get("notAfter")
    return None if end is None else (ssl.cert_time_to_seconds(end) - time.time()) / _DAY


def now() -> float:
    """The time of day, to compare a ``Date`` with."""
    return time.time()

"""Every check on a request, in its order, and that none of them touches anything."""

from __future__ import annotations

import msgspec
import pytest

from roomcast.engineio import admission
from roomcast.engineio.admission import (
    BAD_METHOD,
    METHOD_NOT_ALLOWED,
    NOT_AN_UPGRADE,
    ORIGIN_REFUSED,
    PREFLIGHT_OFF,
    REVISION_MISMATCH,
    REVISION_UNSUPPORTED,
    SID_UNKNOWN,
    TRANSPORT_MISMATCH,
    TRANSPORT_UNKNOWN,
    UPGRADES_OFF,
    Continue,
    Handshake,
    Outcome,
    Preflight,
    Refusal,
    Surplus,
    Upgrade,
    admit,
)
from roomcast.engineio.cors import Allowed, OriginPolicy
from roomcast.engineio.request import Request
from roomcast.settings import Settings


class View(msgspec.Struct, frozen=True):
    """A session as the checks see it."""

    transport: str
    upgrading: bool = False


POLLED = View("polling")
PROBED = View("polling", upgrading=True)
UPGRADED = View("websocket")
SESSIONS = {"polled": POLLED, "probed": PROBED, "upgraded": UPGRADED}


def judge(
    query: str,
    *,
    method: str = "GET",
    upgrade: bool = False,
    origin: str | None = None,
    allowed: Allowed = "https://example.org",
    settings: Settings | None = None,
) -> Outcome:
    headers = [] if origin is None else [(b"origin", origin.encode())]
    return admit(
        Request.from_pairs(method, "/socket.io/", query.encode(), headers),
        lookup=SESSIONS.get,
        policy=OriginPolicy(allowed),
        settings=settings or Settings(),
        upgrade=upgrade,
    )


@pytest.mark.parametrize("extra", ["", "&sid=", "&sid", "&t=abc", "&token=a%20b"])
def test_handshakes(extra: str) -> None:
    assert judge("EIO=4&transport=polling" + extra) == Handshake("polling")
    assert judge("EIO=4&transport=websocket" + extra, upgrade=True) == Handshake("websocket")


@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize(
    "name", ["abc", "constructor", "__proto__", "__class__", "Polling", "webtransport", "", "polling "]
)
def test_an_unknown_transport(name: str, upgrade: bool) -> None:
    assert judge(f"EIO=4&transport={name}", upgrade=upgrade) is TRANSPORT_UNKNOWN
    assert judge("EIO=4", upgrade=upgrade) is TRANSPORT_UNKNOWN


def test_a_transport_that_is_switched_off() -> None:
    polling = Settings(transports=("polling",))
    websocket = Settings(transports=("websocket",))
    assert judge("EIO=4&transport=websocket", upgrade=True, settings=polling) is TRANSPORT_UNKNOWN
    assert judge("EIO=4&transport=websocket&sid=polled", upgrade=True, settings=polling) is TRANSPORT_UNKNOWN
    assert judge("EIO=4&transport=polling", settings=websocket) is TRANSPORT_UNKNOWN
    odd = Settings(transports=("polling", "carrier-pigeon"))
    assert judge("EIO=4&transport=carrier-pigeon", settings=odd) is TRANSPORT_UNKNOWN


@pytest.mark.parametrize("revision", ["", "EIO=3&", "EIO=abc&", "EIO=&", "EIO=44&", "eio=4&", "EIO=4&EIO=3&"])
def test_another_revision(revision: str) -> None:
    assert judge(f"{revision}transport=polling") is REVISION_UNSUPPORTED
    assert judge(f"{revision}transport=websocket", upgrade=True) is REVISION_UNSUPPORTED
    assert judge(f"{revision}transport=polling&sid=polled") is REVISION_MISMATCH
    assert judge(f"{revision}transport=websocket&sid=polled", upgrade=True) is REVISION_MISMATCH


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "PATCH", "get"])
def test_a_handshake_is_a_get(method: str) -> None:
    assert judge("EIO=4&transport=polling", method=method) is BAD_METHOD


def test_the_method_comes_before_the_revision_and_the_transport_before_the_method() -> None:
    assert judge("EIO=3&transport=polling", method="POST") is BAD_METHOD
    assert judge("EIO=3&transport=abc", method="POST") is TRANSPORT_UNKNOWN


def test_a_websocket_must_be_an_upgrade_and_polling_must_not() -> None:
    assert judge("EIO=4&transport=websocket") is NOT_AN_UPGRADE
    assert judge("EIO=4&transport=polling", upgrade=True) is NOT_AN_UPGRADE


@pytest.mark.parametrize("sid", ["unknown", "__class__", "%00", "polled%20", "x" * 4096])
def test_an_unknown_session(sid: str) -> None:
    assert judge(f"EIO=4&transport=polling&sid={sid}") is SID_UNKNOWN
    assert judge(f"EIO=4&transport=websocket&sid={sid}", upgrade=True) is SID_UNKNOWN


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_polling_goes_on(method: str) -> None:
    assert judge("EIO=4&transport=polling&sid=polled", method=method) == Continue(POLLED)
    assert judge("EIO=4&transport=polling&sid=probed", method=method) == Continue(PROBED)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "PATCH"])
def test_other_methods_on_a_session(method: str) -> None:
    outcome = judge("EIO=4&transport=polling&sid=polled", method=method)
    assert outcome is METHOD_NOT_ALLOWED
    assert METHOD_NOT_ALLOWED.response().status == 405
    assert (b"allow", b"GET, POST, OPTIONS") in METHOD_NOT_ALLOWED.response().headers


def test_polling_after_the_upgrade_and_a_transport_that_does_not_fit() -> None:
    assert judge("EIO=4&transport=polling&sid=upgraded") is TRANSPORT_MISMATCH
    assert judge("EIO=4&transport=websocket&sid=polled") is TRANSPORT_MISMATCH
    assert judge("EIO=4&transport=websocket&sid=upgraded") is TRANSPORT_MISMATCH
    assert judge("EIO=4&transport=polling&sid=polled", upgrade=True) is TRANSPORT_MISMATCH


def test_upgrades() -> None:
    query = "EIO=4&transport=websocket&sid="
    assert judge(query + "polled", upgrade=True) == Upgrade(POLLED)
    assert judge(query + "probed", upgrade=True) == Surplus(PROBED)
    assert judge(query + "upgraded", upgrade=True) == Surplus(UPGRADED)
    assert judge(query + "polled", upgrade=True, settings=Settings(allow_upgrades=False)) is UPGRADES_OFF


QUERIES = ["", "transport=abc", "EIO=4&transport=polling", "EIO=4&transport=polling&sid=polled", "EIO=3&sid=unknown"]


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize("upgrade", [False, True])
@pytest.mark.parametrize("query", [*QUERIES, "EIO=4&transport=websocket", "EIO=4&transport=websocket&sid=polled"])
def test_the_origin_comes_first(query: str, method: str, upgrade: bool) -> None:
    def never(sid: str) -> None:
        raise AssertionError(sid)

    request = Request.from_pairs(method, "/", query.encode(), [(b"origin", b"http://evil")])
    policy = OriginPolicy("https://example.org")
    assert admit(request, lookup=never, policy=policy, settings=Settings(), upgrade=upgrade) is ORIGIN_REFUSED


@pytest.mark.parametrize("origin", [None, "https://example.org"])
@pytest.mark.parametrize("query", QUERIES)
def test_preflight_whatever_the_query(query: str, origin: str | None) -> None:
    assert judge(query, method="OPTIONS", origin=origin) == Preflight()
    assert judge(query, method="OPTIONS", origin=origin, allowed=[]) is PREFLIGHT_OFF


def test_without_a_policy_any_origin_may_come_but_an_illegal_one() -> None:
    query = "EIO=4&transport=polling"
    assert judge(query, origin="http://evil", allowed=[]) == Handshake("polling")
    assert judge(query, origin="http://evil\x01", allowed=[]) is ORIGIN_REFUSED


@pytest.mark.parametrize(
    ("refusal", "status", "body"),
    [
        (TRANSPORT_UNKNOWN, 400, b'{"code":0,"message":"Transport unknown"}'),
        (SID_UNKNOWN, 400, b'{"code":1,"message":"Session ID unknown"}'),
        (BAD_METHOD, 400, b'{"code":2,"message":"Bad handshake method"}'),
        (PREFLIGHT_OFF, 400, b'{"code":2,"message":"Bad handshake method"}'),
        (ORIGIN_REFUSED, 400, b'{"code":3,"message":"Bad request"}'),
        (admission.FORBIDDEN, 403, b'{"code":4,"message":"Forbidden"}'),
        (REVISION_UNSUPPORTED, 400, b'{"code":5,"message":"Unsupported protocol version"}'),
    ],
)
def test_what_the_client_reads(refusal: Refusal, status: int, body: bytes) -> None:
    answer = refusal.response(extra=((b"x-roomcast-node", b"abcd"),))
    assert (answer.status, answer.body) == (status, body)
    assert dict(answer.headers)[b"content-type"] == b"application/json"
    assert answer.headers[-1] == (b"x-roomcast-node", b"abcd")


def test_every_refusal_has_a_word_to_be_counted_by() -> None:
    refusals = [value for value in vars(admission).values() if isinstance(value, Refusal)]
    assert len(refusals) == 12
    words = ["origin", "method", "transport", "sid", "revision", "forbidden"]
    assert {refusal.reason for refusal in refusals} == {*words, "transport mismatch", "upgrades off", "no upgrade"}

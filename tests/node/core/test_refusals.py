"""What is answered to requests that may not come in, what is counted of it, and what is written down."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from roomcast.core.counters import Counters
from roomcast.core.refusals import MAX_ORIGIN, Refusals
from roomcast.engineio.admission import ORIGIN_REFUSED, SID_UNKNOWN, Handshake
from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.request import Request
from roomcast.engineio.response import Response
from roomcast.settings import Settings
from tests.support.played import BareStage


class Desk:
    """Refusals as a driver has them: of an engine, with counters and a logger of their own."""

    def __init__(self, **settings: Any) -> None:
        self.counters = Counters()
        engine = BareStage(Settings(**settings), policy=OriginPolicy("https://good.example")).engine
        self.refusals = Refusals(engine, self.counters, logging.getLogger("test.refusals"))


def request(origin: str) -> Request:
    return Request.from_pairs("GET", "/socket.io/", b"EIO=4", [(b"origin", origin.encode("latin-1"))])


def test_a_refusal_is_worded_and_counted_by_its_code() -> None:
    desk = Desk()
    answer = desk.refusals.answer(request("https://good.example"), SID_UNKNOWN)
    assert (answer.status, answer.body) == (400, b'{"code":1,"message":"Session ID unknown"}')
    assert (b"access-control-allow-origin", b"https://good.example") in answer.headers
    assert desk.counters.refused["session_unknown"] == 1


def test_what_is_no_refusal_is_a_bad_request_here() -> None:
    desk = Desk()
    answer = desk.refusals.answer(request("https://good.example"), Handshake("polling"))
    assert (answer.status, answer.body) == (400, b'{"code":3,"message":"Bad request"}')
    assert not sum(desk.counters.refused.values())


def test_a_refused_origin_is_not_allowed_in_the_answer_either(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    answer = desk.refusals.answer(request("https://evil.example"), ORIGIN_REFUSED)
    assert answer.status == 400
    assert not [name for name, _ in answer.headers if name == b"access-control-allow-origin"]
    assert desk.counters.refused["origin"] == 1
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "https://evil.example is not an accepted origin. See the option cors_allowed_origins")
    ]


def test_only_the_first_refused_origin_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    with caplog.at_level(logging.INFO, "test.refusals"):
        for _ in range(3):
            desk.refusals.answer(request("https://evil.example"), ORIGIN_REFUSED)
    assert [each.levelname for each in caplog.records] == ["ERROR", "INFO", "INFO"]


def test_strangers_do_not_choose_what_the_log_looks_like(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.refusals.answer(request("ü" + "x" * 10_000), ORIGIN_REFUSED)
    (record,) = caplog.records
    assert record.getMessage().startswith("\\xfcxxx")
    assert len(record.getMessage()) < MAX_ORIGIN + 100


# --- WebSockets -------------------------------------------------------------------------------------------------------

HANDSHAKE = (
    (b"host", b"example.org"),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
)


def upgrade(
    query: bytes = b"EIO=4&transport=websocket", headers: tuple[tuple[bytes, bytes], ...] = HANDSHAKE
) -> Request:
    return Request.from_pairs("GET", "/socket.io/", query, headers, scheme="ws")


def test_an_upgrade_that_may_come() -> None:
    judged = Desk().refusals.judge_upgrade(upgrade(), 0.0)
    assert isinstance(judged, tuple)
    outcome, answer = judged
    assert outcome == Handshake("websocket")
    assert answer.response.startswith(b"HTTP/1.1 101 ")
    assert b"X-Roomcast-Node: node" in answer.response or b"x-roomcast-node: node" in answer.response


@pytest.mark.parametrize(
    ("request_", "status", "label"),
    [
        (upgrade(b"EIO=3&transport=websocket"), 400, "protocol_version"),
        (upgrade(b"EIO=4&transport=websocket&sid=no"), 400, "session_unknown"),
        (upgrade(headers=HANDSHAKE[:3]), 426, "websocket_handshake"),
    ],
)
def test_upgrades_that_may_not(request_: Request, status: int, label: str) -> None:
    desk = Desk()
    judged = desk.refusals.judge_upgrade(request_, 0.0)
    assert isinstance(judged, Response)
    assert judged.status == status
    assert desk.counters.refused[label] == 1


def test_an_upgrade_of_a_node_that_takes_nobody() -> None:
    desk = Desk(max_sessions=0)
    judged = desk.refusals.judge_upgrade(upgrade(), 0.0)
    assert isinstance(judged, Response)
    assert judged.status == 503

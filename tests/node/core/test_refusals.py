"""What is answered to requests that may not come in, what is counted of it, and what is written down."""

from __future__ import annotations

import logging

import pytest

from roomcast.core.counters import Counters
from roomcast.core.refusals import MAX_ORIGIN, Refusals
from roomcast.engineio.admission import ORIGIN_REFUSED, SID_UNKNOWN, Handshake
from roomcast.engineio.cors import OriginPolicy
from roomcast.engineio.request import Request
from roomcast.settings import Settings
from tests.support.played import BareStage


class Desk:
    """Refusals as a driver has them: of an engine, with counters and a logger of their own."""

    def __init__(self) -> None:
        self.counters = Counters()
        engine = BareStage(Settings(), policy=OriginPolicy("https://good.example")).engine
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

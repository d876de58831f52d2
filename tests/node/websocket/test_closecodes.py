from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.websocket import closecodes
from roomcast.websocket.closecodes import (
    INVALID_DATA,
    MAX_REASON_BYTES,
    PROTOCOL_ERROR,
    Failure,
    MessageFault,
    may_receive,
    may_send,
    parse_close,
    render_close,
)

RECEIVED = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
NEVER = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]


@pytest.mark.parametrize("code", RECEIVED)
def test_codes_a_client_may_send(code: int) -> None:
    assert may_receive(code)
    assert may_send(code) is (code != closecodes.MISSING_EXTENSION)
    assert parse_close(code.to_bytes(2, "big") + b"bye") == (code, "bye")


@pytest.mark.parametrize("code", NEVER)
def test_codes_that_never_travel(code: int) -> None:
    assert not may_receive(code)
    assert not may_send(code)
    assert parse_close(code.to_bytes(2, "big")) == Failure(PROTOCOL_ERROR, "invalid close code")
    with pytest.raises(ValueError, match=str(code)):
        render_close(code, "")


def test_an_empty_close_has_no_code() -> None:
    assert parse_close(b"") == (None, "")
    assert render_close(None, "") == b""


def test_half_a_code_is_a_fault() -> None:
    assert parse_close(b"\x03") == Failure(PROTOCOL_ERROR, "invalid close code")


def test_a_reason_must_be_utf8() -> None:
    assert parse_close(b"\x03\xe8\xff") == Failure(INVALID_DATA, "close reason is not UTF-8")


def test_a_reason_needs_a_code() -> None:
    with pytest.raises(ValueError, match="needs a close code"):
        render_close(None, "why")


def test_a_message_fault_tells_its_failure() -> None:
    failure = Failure(INVALID_DATA, "no good")
    assert MessageFault(failure).failure == failure
    assert str(MessageFault(failure)) == "no good"


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("x" * (MAX_REASON_BYTES - 1), "x" * (MAX_REASON_BYTES - 1)),
        ("x" * MAX_REASON_BYTES, "x" * MAX_REASON_BYTES),
        ("x" * (MAX_REASON_BYTES + 1), "x" * MAX_REASON_BYTES),
        ("x" * (MAX_REASON_BYTES - 1) + "é", "x" * (MAX_REASON_BYTES - 1)),
        ("lone \ud800", "lone ?"),
    ],
)
def test_a_reason_is_cut_between_characters(reason: str, sent: str) -> None:
    assert parse_close(render_close(1000, reason)) == (1000, sent)


@given(code=st.sampled_from([code for code in RECEIVED if may_send(code)]), reason=st.text())
def test_what_is_rendered_can_be_parsed(code: int, reason: str) -> None:
    payload = render_close(code, reason)
    assert len(payload) <= 125
    parsed = parse_close(payload)
    assert not isinstance(parsed, Failure)
    assert parsed[0] == code
    assert reason.encode("utf-8", "replace").decode().startswith(parsed[1])

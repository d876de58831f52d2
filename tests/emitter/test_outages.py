from __future__ import annotations

import logging

import pytest

from roomcast_emitter.outages import OutageLog, warn

CAUSE = ConnectionError("refused")


def test_an_outage_is_told_three_times_and_not_more() -> None:
    log = OutageLog("what is emitted waits for 5 s")
    assert log.line(None, 0, None) is None
    assert log.line(True, 0, None) is None
    assert log.line(False, 0, CAUSE) == "the broker is away (refused); what is emitted waits for 5 s"
    assert log.line(False, 0, CAUSE) is None
    assert log.line(False, 2, CAUSE) == "2 emitted operations were given up, for the broker did not come back in time"
    assert log.line(False, 1_500, CAUSE) is None
    assert log.line(True, 1_500, None) == "the broker is back; 1,500 emitted operations had been given up"
    assert log.line(True, 1_500, None) is None


def test_the_next_outage_counts_anew() -> None:
    log = OutageLog("-")
    for lost in (10, 11):
        assert log.line(False, lost - 1, ValueError()) is not None
        log.line(False, lost, None)
        log.line(True, lost, None)
    assert log.line(False, 11, None) == "the broker is away (no answer); -"
    assert log.line(True, 11, None) == "the broker is back; 0 emitted operations had been given up"


def test_a_cause_without_words_is_named() -> None:
    assert OutageLog("-").line(False, 0, TimeoutError()) == "the broker is away (TimeoutError); -"


def test_what_was_lost_without_an_outage_is_told_too() -> None:
    log = OutageLog("-")
    assert "3 emitted operations were given up" in str(log.line(True, 3, None))
    assert log.line(True, 3, None) == "the broker is back; 3 emitted operations had been given up"


def test_a_line_goes_to_the_log_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    warn("100 % of it")
    assert caplog.record_tuples == [("roomcast_emitter", logging.WARNING, "100 % of it")]

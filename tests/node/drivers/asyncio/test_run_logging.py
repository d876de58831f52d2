"""Lines of a node that runs under ``roomcast run``: in uvicorn's form, and once."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Iterator

import pytest

from roomcast.drivers.asyncio.run_logging import UnlessHandled, log_config

LOGGERS = ("roomcast", "roomcast.cluster", "uvicorn", "uvicorn.error", "uvicorn.access")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave the process's loggers as they were."""
    kept = {name: logging.getLogger(name) for name in LOGGERS}
    state = {name: (list(each.handlers), each.level, each.propagate) for name, each in kept.items()}
    yield
    for name, (handlers, level, propagate) in state.items():
        kept[name].handlers[:], kept[name].propagate = handlers, propagate
        kept[name].setLevel(level)


def says(level: str, capsys: pytest.CaptureFixture[str]) -> str:
    logging.config.dictConfig(log_config(level))
    logging.getLogger("roomcast.cluster").info("node aaaa is there")
    logging.getLogger("roomcast").warning("the limit stays")
    return capsys.readouterr().err


@pytest.mark.parametrize(("level", "lines"), [("debug", 2), ("info", 2), ("warning", 1), ("error", 0)])
def test_lines_of_the_level_that_was_asked_for(
    level: str, lines: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    written = says(level, capsys).splitlines()
    assert written == ["INFO:     node aaaa is there", "WARNING:  the limit stays"][2 - lines :]


def test_an_application_that_set_up_logging_gets_them_itself_and_once(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert says("info", capsys) == ""
    assert caplog.messages == ["node aaaa is there", "the limit stays"]


def test_uvicorns_own_stay_as_they_are() -> None:
    config = log_config("info")
    assert set(config["loggers"]) == {"uvicorn", "uvicorn.error", "uvicorn.access", "roomcast"}
    assert issubclass(UnlessHandled, logging.StreamHandler)

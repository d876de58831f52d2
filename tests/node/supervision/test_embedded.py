"""The embedded broker, with a real client."""

from __future__ import annotations

import builtins
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from roomcast.errors import SettingsError
from roomcast.supervision.embedded import embedded_broker
from roomcast_brokers.backends.zmq import ZmqSender


def test_it_takes_messages_in_a_folder_of_its_user_alone() -> None:
    with embedded_broker() as url:
        folder = Path(url.removeprefix("zmq+ipc://"))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        sender = ZmqSender(url)
        sender.send([("channel", b"message")])
        sender.close()
    assert not folder.exists()


def test_two_do_not_meet() -> None:
    with embedded_broker() as one, embedded_broker() as other:
        assert one != other


def test_nothing_is_left_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), embedded_broker() as url:
        raise ZeroDivisionError
    assert not os.path.exists(url.removeprefix("zmq+ipc://"))


def test_without_zmq_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    importing = builtins.__import__

    def without_zmq(name: str, *more: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "zmq":
            raise ModuleNotFoundError("No module named 'zmq'", name="zmq")
        return importing(name, *more, **options)

    for name in [name for name in sys.modules if name.startswith("roomcast_brokers.backends.zmq")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without_zmq)
    said = r"pip install 'roomcast\[zmq\]'; or name another one with --broker"
    with pytest.raises(SettingsError, match=said), embedded_broker():
        raise AssertionError("it is there")


def test_a_place_that_is_too_long_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(SettingsError, match="the embedded broker cannot start: the folder"), embedded_broker():
        raise AssertionError("it is there")
    assert list(deep.iterdir()) == []

"""The folder of kombu's filesystem transport: files appear complete, and come out as they went in."""

from __future__ import annotations

from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from kombu.connection import Connection

from roomcast_brokers.backends.kombu.spool import SpoolChannel, SpoolTransport, in_folder
from roomcast_brokers.errors import BrokerURLError


def channel(folder: Path) -> Any:
    options: dict[str, Any] = {}
    in_folder(f"filesystem://{folder}", options)
    made = Connection("filesystem://", transport=SpoolTransport, transport_options=options).channel()
    assert isinstance(made, SpoolChannel)
    return made


def test_in_the_order_in_which_they_went_in(tmp_path: Path) -> None:
    one, other = channel(tmp_path / "new"), channel(tmp_path / "new")
    for number in range(50):
        one._put("q", {"n": number})
        one._put("another", {"n": -1})
    assert [other._get("q")["n"] for _ in range(50)] == list(range(50))
    with pytest.raises(Empty):
        other._get("q")
    one._put("q", {"n": 50})
    assert other._get("q") == {"n": 50}
    assert other._size("another") == 50


def test_what_is_not_complete_is_not_seen_nor_what_is_no_message(tmp_path: Path) -> None:
    one = channel(tmp_path)
    one._put("q", {"n": 1})
    written = next(tmp_path.glob("*.q.msg"))
    written.with_name(f"{written.name}.unfinished").write_text('{"n"')
    written.with_name(f"0{written.name}").write_text("not JSON")
    assert one._get("q") == {"n": 1}
    with pytest.raises(Empty):
        one._get("q")
    assert [path.name for path in tmp_path.glob("*msg*")] == [f"{written.name}.unfinished"]


def test_a_queue_that_somebody_empties(tmp_path: Path) -> None:
    one = channel(tmp_path)
    for number in range(3):
        one._put("q", {"n": number})
    assert one._get("q") == {"n": 0}
    assert channel(tmp_path)._purge("q") == 2
    with pytest.raises(Empty):
        one._get("q")


def test_what_came_while_it_looked_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older one may have been missed, and would come after it."""
    one = channel(tmp_path)
    one._put("q", {"n": 1})
    monkeypatch.setattr("roomcast_brokers.backends.kombu.spool.monotonic_ns", lambda: 0)
    with pytest.raises(Empty):
        one._get("q")
    monkeypatch.undo()
    assert one._get("q") == {"n": 1}


def test_where_the_folder_is() -> None:
    options: dict[str, Any] = {}
    in_folder("filesystem:///var/spool/x%20y", options)
    assert options == {
        "data_folder_in": "/var/spool/x y",
        "data_folder_out": "/var/spool/x y",
        "control_folder": "/var/spool/x y/control",
    }
    options = {"data_folder_in": "in", "control_folder": "there"}
    in_folder("filesystem://", options)
    assert options == {"data_folder_in": "in", "data_folder_out": "in", "control_folder": "there"}


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("filesystem://", {}),
        ("filesystem:///", {}),
        ("filesystem:///in", {"data_folder_out": "/out"}),
        ("filesystem://", {"data_folder_in": "in", "data_folder_out": "out"}),
    ],
)
def test_one_folder_for_all(url: str, options: dict[str, Any]) -> None:
    with pytest.raises(BrokerURLError, match="one folder"):
        in_folder(url, options)

"""How nodes are shown: from what is known of them to a table and to sentences."""

from __future__ import annotations

import signal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.supervision.fleet import GaveUp, Life, State
from roomcast.supervision.plans import NodePlan
from roomcast.supervision.readings import SILENT, Reading
from roomcast.supervision.status import NodeView, end_of, news, table, view, why_it_ended

PLAN = NodePlan(2, "n002", "http://127.0.0.1:8081", 8081, "127.0.0.1", 9465)
READY = Reading("ready", (), 12, True, 1)


def shown(reading: Reading = READY, pid: int | None = 4711, now: float = 0.0, **life: Any) -> NodeView:
    """The view of a node that serves, unless ``life`` says otherwise."""
    return view(PLAN, Life(2, **{"state": State.SERVING, "starts": 1, **life}), pid, reading, now)


# --- the view ---------------------------------------------------------------------------------------------------------


def test_a_node_that_serves() -> None:
    assert shown() == NodeView(2, "n002", "http://127.0.0.1:8081", 9465, 4711, "ready", "good", 12, "up", 1, 0)


@pytest.mark.parametrize(
    ("reading", "life", "expected"),
    [
        (SILENT, {}, ("silent", "bad", "")),
        (Reading("degraded", ("broker away",)), {}, ("degraded", "middling", "broker away")),
        (Reading("unready", ("deaf", "twin")), {}, ("unready", "bad", "deaf, twin")),
        (SILENT, {"state": State.STARTING}, ("starting", "middling", "")),
        (READY, {"state": State.DRAINING}, ("draining", "middling", "")),
        (SILENT, {"state": State.DOWN, "starts": 0}, ("down", "middling", "")),
        (SILENT, {"state": State.DOWN, "ended_with": 1}, ("down", "bad", "exit code 1")),
        (SILENT, {"state": State.DOWN, "ended_with": 0}, ("down", "bad", "ended by itself")),
        (SILENT, {"state": State.STOPPED, "ended_with": 0}, ("stopped", "middling", "")),
        (SILENT, {"state": State.STOPPED, "ended_with": -9}, ("stopped", "bad", "ended by SIGKILL")),
    ],
)
def test_states(reading: Reading, life: dict[str, Any], expected: tuple[str, str, str]) -> None:
    node = shown(reading, **life)
    assert (node.state, node.mood, node.note) == expected


def test_what_a_dead_node_said_last_is_not_shown() -> None:
    node = shown(READY, state=State.DOWN, ended_with=1, starts=3, due=7.2, now=5.0)
    assert (node.pid, node.clients, node.broker, node.peers, node.restarts, node.again_in) == (
        None,
        None,
        "-",
        None,
        2,
        3,
    )
    assert shown(READY, state=State.DOWN, due=7.2, now=9.0).again_in == 0


@pytest.mark.parametrize(("broker_up", "word"), [(True, "up"), (False, "away"), (None, "-")])
def test_the_broker(broker_up: bool | None, word: str) -> None:
    assert shown(Reading("ready", broker_up=broker_up)).broker == word


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-signal.SIGKILL, "ended by SIGKILL"), (-200, "ended by signal 200")],
)
def test_how_it_ended(code: int, words: str) -> None:
    assert end_of(code) == words


# --- the table --------------------------------------------------------------------------------------------------------

DOWN = shown(state=State.DOWN, ended_with=-9, due=2.0, starts=2)
FIRST = msgspec.structs.replace(shown(), number=1, tag="n001", url="http://127.0.0.1:8080", clients=3)


def texts(width: int = 120, height: int = 20, *views: NodeView) -> list[str]:
    return [row.text for row in table(views or (FIRST, shown()), "Ctrl-C ends", width, height)]


def test_a_table() -> None:
    assert texts() == [
        "NODE  TAG   ADDRESS         METRICS   PID  STATE  CLIENTS  BROKER  PEERS  RESTARTS",
        "1     n001  127.0.0.1:8080     9465  4711  ready        3  up          1         0",
        "2     n002  127.0.0.1:8081     9465  4711  ready       12  up          1         0",
        "Ctrl-C ends",
    ]


def test_of_a_node_that_is_down_why_and_until_when() -> None:
    assert texts(120, 20, FIRST, DOWN)[2] == (
        "2     n002  127.0.0.1:8081     9465     -  down  ended by SIGKILL, again in 2 s"
    )


def test_reasons_stand_behind_what_is_known() -> None:
    node = shown(Reading("degraded", ("broker away",), 5, False, 1))
    assert texts(120, 20, node)[1].endswith("degraded        5  away        1         0  broker away")


def test_it_fits_a_terminal_of_80_columns() -> None:
    lines = texts(79)
    assert lines[0] == "NODE  TAG   ADDRESS         METRICS  STATE  CLIENTS  BROKER  PEERS  RESTARTS"
    assert texts(72)[0] == "NODE  ADDRESS         METRICS  STATE  CLIENTS  BROKER  PEERS  RESTARTS"
    assert max(map(len, texts(30))) == 30


def test_what_does_not_fit_is_counted() -> None:
    nodes = [msgspec.structs.replace(FIRST, number=number) for number in range(1, 11)]
    lines = texts(120, 6, *nodes)
    assert [line[:4].strip() for line in lines[1:4]] == ["1", "2", "3"]
    assert lines[4:] == ["... and 7 more", "Ctrl-C ends"]
    assert texts(120, 12, *nodes)[-2].startswith("10 ")


def test_the_state_is_where_its_mood_says() -> None:
    row = table([FIRST], "", 120, 20)[1]
    assert (row.mood, row.text[row.at : row.at + row.length]) == ("good", "ready")
    row = table([DOWN], "", 120, 20)[1]
    assert (row.mood, row.text[row.at : row.at + row.length]) == ("bad", "down")


@given(st.integers(1, 150), st.integers(2, 20), st.integers(1, 30))
def test_it_never_takes_more_room_than_there_is(width: int, height: int, count: int) -> None:
    rows = table([DOWN, FIRST, shown(SILENT)] * count, "the foot of the table", width, height)
    assert len(rows) <= height
    assert max(len(row.text) for row in rows) <= width
    assert rows[-1].text == "the foot of the table"[:width]


# --- sentences --------------------------------------------------------------------------------------------------------


def test_what_is_new_about_a_node() -> None:
    assert news(None, shown()) == (
        "ready, pid 4711, http://127.0.0.1:8081, metrics on port 9465, 12 clients, broker up, 1 peer"
    )
    assert news(shown(), DOWN) == "down (ended by SIGKILL), 1 restart"
    assert news(None, shown(SILENT, state=State.STARTING, starts=3)) == "starting, pid 4711, 2 restarts"


@pytest.mark.parametrize(
    "change",
    [{"state": "unready"}, {"note": "deaf"}, {"pid": 1}, {"broker": "away"}, {"peers": 0}, {"restarts": 4}],
)
def test_a_change_is_worth_a_line(change: dict[str, Any]) -> None:
    assert news(FIRST, msgspec.structs.replace(FIRST, **change)) is not None


@pytest.mark.parametrize("change", [{}, {"clients": 99}, {"again_in": 3}])
def test_what_changes_all_the_time_is_not(change: dict[str, Any]) -> None:
    assert news(FIRST, msgspec.structs.replace(FIRST, **change)) is None


def test_why_it_ended() -> None:
    failure = GaveUp(2, 3, 1)
    assert why_it_ended(failure, ["Traceback", "ImportError"]) == (
        "node 2 ended 3 times before it was ready (exit code 1); its last lines:\n    Traceback\n    ImportError"
    )
    assert why_it_ended(failure, []).endswith("(exit code 1), and wrote nothing")

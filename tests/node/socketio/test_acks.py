"""Pending acknowledgements: each ends once."""

from __future__ import annotations

from roomcast.socketio.acks import AckTable


def test_an_answer_takes_its_token_once() -> None:
    table: AckTable[str] = AckTable(10)
    assert [table.add("a"), table.add("b"), table.add("c")] == [0, 1, 2]
    assert len(table) == 3
    assert table.take(1) == "b"
    assert table.take(1) is None
    assert table.take(3) is None
    assert len(table) == 2


def test_an_empty_table_answers_everything() -> None:
    table: AckTable[str] = AckTable(10)
    assert len(table) == 0
    assert table.take(0) is None
    assert table.take_evicted() == []
    assert table.clear() == []


def test_ids_are_never_used_again() -> None:
    table: AckTable[str] = AckTable(10)
    table.take(table.add("a"))
    table.clear()
    assert table.add("b") == 1


def test_the_oldest_gives_way_over_the_limit() -> None:
    table: AckTable[str] = AckTable(2)
    table.add("a")
    assert table.add("b") == 1
    assert table.take_evicted() == []
    table.add("c")
    table.add("d")
    assert len(table) == 2
    assert table.take_evicted() == ["a", "b"]
    assert table.take_evicted() == []
    assert table.take(0) is None
    assert table.take(3) == "d"


def test_the_end_of_the_socket_returns_everything() -> None:
    table: AckTable[str] = AckTable(2)
    for token in "abc":
        table.add(token)
    assert table.clear() == ["a", "b", "c"]
    assert len(table) == 0


def test_an_idle_table_holds_nothing() -> None:
    assert not hasattr(AckTable(10), "__dict__")

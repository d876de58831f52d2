"""Pending acknowledgements: each ends once."""

from __future__ import annotations

from roomcast.socketio.acks import AckTable


def test_an_answer_takes_its_token_once() -> None:
    table: AckTable[str] = AckTable(10)
    assert [table.add("a"), table.add("b", 5.0), table.add("c")] == [0, 1, 2]
    assert len(table) == 3
    assert table.take(1) == "b"
    assert table.take(1) is None
    assert table.take(3) is None
    assert len(table) == 2


def test_an_empty_table_answers_everything() -> None:
    table: AckTable[str] = AckTable(10)
    assert len(table) == 0
    assert table.take(0) is None
    assert table.due() is None
    assert table.expire(1e9) == []
    assert table.take_evicted() == []
    assert table.clear() == []


def test_ids_are_never_used_again() -> None:
    table: AckTable[str] = AckTable(10)
    table.take(table.add("a"))
    table.clear()
    assert table.add("b") == 1


def test_deadlines_expire_in_order_of_the_ids() -> None:
    table: AckTable[str] = AckTable(10)
    for token, deadline in [("a", 3.0), ("b", None), ("c", 1.0), ("d", 2.0), ("e", 4.0)]:
        table.add(token, deadline)
    assert table.due() == 1.0
    assert table.expire(0.999) == []
    assert table.expire(3.0) == ["a", "c", "d"]
    assert table.due() == 4.0
    assert table.take(0) is None
    assert table.expire(4.0) == ["e"]
    assert table.due() is None
    assert table.expire(1e9) == []
    assert table.take(1) == "b"


def test_the_last_one_to_expire_leaves_an_empty_table() -> None:
    table: AckTable[str] = AckTable(10)
    table.add("a", 1.0)
    assert table.expire(1.0) == ["a"]
    assert len(table) == 0


def test_due_may_name_a_deadline_that_was_answered() -> None:
    table: AckTable[str] = AckTable(10)
    table.take(table.add("a", 1.0))
    table.add("b", 2.0)
    assert table.due() == 1.0
    assert table.expire(1.5) == []
    assert table.due() == 2.0
    table.take(1)
    assert table.expire(2.5) == []


def test_a_later_deadline_does_not_delay_an_earlier_one() -> None:
    table: AckTable[str] = AckTable(10)
    table.add("a", 1.0)
    table.add("b", 2.0)
    assert table.due() == 1.0
    assert table.expire(1.0) == ["a"]
    table.add("c", 3.0)
    table.add("d", 4.0)
    assert table.expire(2.0) == ["b"]
    assert table.due() == 3.0


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
        table.add(token, 1.0)
    assert table.clear() == ["a", "b", "c"]
    assert len(table) == 0
    assert table.due() is None
    assert table.expire(2.0) == []


def test_an_idle_table_holds_nothing() -> None:
    assert not hasattr(AckTable(10), "__dict__")

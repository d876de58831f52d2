"""Questions: each ends once, by whatever comes first, and then no table knows it."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.core.questions import Question, Waiter, answered, given_up, settle
from roomcast.core.work import SettleAck
from roomcast.engineio.deadlines import Deadlines
from roomcast.exceptions import DisconnectedError
from roomcast.exceptions import TimeoutError as CallTimeoutError
from roomcast.socketio.acks import AckTable

GONE = DisconnectedError("gone")


class PlayedSocket:
    """What of a socket is looked at."""

    def __init__(self) -> None:
        self.acks: Any = AckTable(10)


class Remembering(Waiter):
    """Keeps how it ended, and returns work of its own."""

    def __init__(self) -> None:
        self.ends: list[tuple[Any, ...]] = []

    def settle(self, args: tuple[Any, ...], error: Exception | None) -> Any:
        self.ends.append((args, error))
        return "work"


def asked(*sockets: PlayedSocket) -> tuple[Question, Deadlines]:
    deadlines = Deadlines()
    question = Question("waiter", "event", deadlines)
    for socket in sockets:
        asking: Any = socket
        question.asked.append((asking, socket.acks.add(question)))
    return question, deadlines


def test_whoever_waits_is_settled() -> None:
    remembering = Remembering()
    assert settle(remembering, (1,)) == "work"
    assert settle("the application", (1,)) == SettleAck("the application", (1,), None)
    assert settle("the application", error=GONE) == SettleAck("the application", (), GONE)
    assert remembering.ends == [((1,), None)]
    with pytest.raises(NotImplementedError):  # a kind of waiter that forgot to say what it does
        Waiter().settle((), None)


def test_the_first_answer_takes_it_out_of_every_table() -> None:
    sockets = [PlayedSocket(), PlayedSocket()]
    question, deadlines = asked(*sockets)
    question.limit(5, 100.0)
    assert answered(question, ("answer",)) == SettleAck("waiter", ("answer",), None)
    assert [len(socket.acks) for socket in sockets] == [0, 0]
    assert len(deadlines) == 0
    assert answered("bare waiter", ()) == SettleAck("bare waiter", (), None)


def test_it_ends_with_the_last_client_that_goes() -> None:
    one, other = PlayedSocket(), PlayedSocket()
    question, _ = asked(one, other)
    first: Any = one
    second: Any = other
    assert list(given_up(question, first, GONE)) == []
    assert list(given_up(question, second, GONE)) == [SettleAck("waiter", (), GONE)]
    assert list(given_up("bare waiter", first, GONE)) == [SettleAck("bare waiter", (), GONE)]


def test_while_others_may_answer_the_last_client_here_is_not_the_last() -> None:
    socket = PlayedSocket()
    question, _ = asked(socket)
    withdrawn: list[bool] = []
    question.elsewhere = lambda: withdrawn.append(True)
    here: Any = socket
    assert list(given_up(question, here, GONE)) == []
    assert question.answer((1,)) == SettleAck("waiter", (1,), None)
    question.withdraw()
    assert withdrawn == [True], "told once"


def test_a_client_whose_table_is_gone_is_no_matter() -> None:
    socket = PlayedSocket()
    question, _ = asked(socket)
    socket.acks = None
    assert question.fail(GONE) == SettleAck("waiter", (), GONE)


def test_its_deadline_ends_it_and_names_the_event() -> None:
    socket = PlayedSocket()
    question, deadlines = asked(socket)
    assert not question.overdue(1_000.0)
    question.limit(2.5, 100.0)
    assert deadlines.run(102.4) == []
    assert not question.overdue(102.4)
    assert question.overdue(102.5)
    (work,) = deadlines.run(102.5)
    assert isinstance(work.error, CallTimeoutError)
    assert "'event'" in str(work.error)
    assert "2.5 seconds" in str(work.error)
    assert len(socket.acks) == 0

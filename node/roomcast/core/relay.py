"""Answers across nodes: who waits here for clients of others, and who elsewhere for clients of ours (cluster.md 9).

Both sides end exactly once, by the first of: an answer, the deadline, the client gone, the node lost.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from roomcast.core.questions import Question, Waiter
from roomcast.core.work import several
from roomcast.errors import PacketError, UnencodableError
from roomcast.exceptions import (
    AnswerTooLargeError,
    DisconnectedError,
    NodeLostError,
    SocketIOError,
    TooManyPendingError,
)
from roomcast.exceptions import TimeoutError as CallTimeoutError
from roomcast_brokers.codec import encode_body
from roomcast_brokers.errors import MessageTooLargeError
from roomcast_brokers.messages import Answer, Ask, Kind, Origin, Outcome

if TYPE_CHECKING:
    from roomcast.core.cluster import Cluster


class AskedByPeer(Waiter):
    """Another process waits for what a client here answers, or for what an operation here comes to.

    ``alone``: nobody else can answer, so a client that has gone is an answer too.
    """

    __slots__ = ("alone", "ask", "asker", "cluster", "question")

    def __init__(self, cluster: Cluster, asker: Origin, ask: Ask, alone: bool) -> None:
        self.cluster = cluster
        self.asker = asker
        self.ask = ask
        self.alone = alone
        self.question: Question | None = None

    def settle(self, args: tuple[Any, ...], error: Exception | None) -> Any:
        """Tell the asker."""
        self.cluster.asked_by.pop((self.asker, self.ask.id), None)
        if error is None:
            self.cluster.answer(self.asker, self._encoded(args))
            return None
        outcome = outcome_of(error)
        # On a room the others may still answer, and the asker has a clock of its own.
        if self.alone or outcome is Outcome.FAILED:
            self.tell(outcome, str(error))
        return None

    def tell(self, outcome: Outcome, text: str = "") -> None:
        """End the ask without values."""
        self.cluster.answer(self.asker, Answer(self.ask.id, self.asker.epoch, outcome, text=text))

    def _encoded(self, args: tuple[Any, ...]) -> Answer:
        codec = self.cluster.node.codec
        try:
            body, attachments = codec.encode_args(args)
        except UnencodableError as error:  # an integer of more digits than msgspec writes, for one
            return Answer(self.ask.id, self.asker.epoch, Outcome.FAILED, text=str(error))
        name = self.cluster.codec_name
        return Answer(self.ask.id, self.asker.epoch, Outcome.OK, name, body, tuple(attachments))


def outcome_of(error: Exception) -> Outcome:
    """How the end of a question here is told to who asked from elsewhere."""
    if isinstance(error, TooManyPendingError):
        return Outcome.FAILED
    if isinstance(error, DisconnectedError | KeyError):
        return Outcome.GONE
    if isinstance(error, TimeoutError):
        return Outcome.TIMED_OUT
    return Outcome.REFUSED if isinstance(error, ValueError) else Outcome.FAILED


def error_of(outcome: int, text: str) -> Exception:
    """How the end of an ask elsewhere is told to who waits here."""
    if outcome == Outcome.GONE:
        return DisconnectedError("there is no such client, or it has gone")
    if outcome == Outcome.TIMED_OUT:
        return CallTimeoutError("the client did not answer in time")
    if outcome == Outcome.TOO_LARGE:
        return AnswerTooLargeError("the client's answer does not fit into one message between nodes")
    if outcome == Outcome.REFUSED:
        return ValueError(text or "the node of that client refused")
    return SocketIOError(text or "the node of that client could not do it")


ENDS: dict[int, str] = {
    Outcome.OK: "answered",
    Outcome.GONE: "client_gone",
    Outcome.TIMED_OUT: "timed_out",
    Outcome.TOO_LARGE: "too_large",
    Outcome.REFUSED: "refused",
}


class Relay:
    """The table of asks that wait for other nodes, and what ends them."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def open(self, question: Question, owner: Origin | None, timeout: float | None) -> Ask:
        """Let ``question`` wait for other nodes: for the one ``owner``, or (None) for whoever answers first."""
        cluster = self._cluster
        ask_id = cluster.replies.open(question, owner, None)
        question.elsewhere = partial(self._withdrawn, question, ask_id)
        return Ask(ask_id, None if timeout is None else max(1, round(timeout * 1_000)))

    def _withdrawn(self, question: Question, ask_id: int) -> None:
        """Its time is up, somebody here answered first, or who waited has been cancelled."""
        cluster = self._cluster
        if cluster.replies.withdraw(ask_id):
            cluster.counters.ask_ends.count("timed_out" if question.overdue(cluster.now) else "withdrawn")

    def answered(self, origin: Origin, answer: Answer) -> Any:
        """An answer has come; one that nobody waits for is dropped and counted."""
        cluster = self._cluster
        if answer.epoch != cluster.origin.epoch:
            cluster.counters.ask_ends.count("late")
            return None
        question = cluster.replies.answer(answer.id, origin)
        if not isinstance(question, Question):
            cluster.counters.ask_ends.count("late")
            return None
        cluster.counters.ask_ends.count(ENDS.get(answer.outcome, "failed"))
        if answer.outcome != Outcome.OK:
            return question.fail(error_of(answer.outcome, answer.text))
        try:
            args = cluster.decode_args(answer.codec, answer.args, answer.attachments)
        except PacketError as error:
            return question.fail(SocketIOError(f"the answer from another node cannot be read: {error}"))
        return question.answer(tuple(args))

    def end(self) -> Any:
        """This node leaves: nothing that is still asked elsewhere will be answered here; returns work."""
        error = "this node leaves the cluster"
        waiting = [each for each in self._cluster.replies.all() if isinstance(each, Question)]
        return several(*[question.fail(NodeLostError(error)) for question in waiting])

    def lost(self, node: Origin) -> list[Any]:
        """A node is lost or has left: all that waits for it alone ends, and all that it waits for is withdrawn."""
        cluster = self._cluster
        works = []
        for question in cluster.replies.lost(node):
            if isinstance(question, Question):
                cluster.counters.ask_ends.count("node_lost")
                works.append(question.fail(NodeLostError("the node of that client is lost")))
        for key in [key for key in cluster.asked_by if key[0] == node]:
            cluster.asked_by.pop(key).withdraw()
        return works


def publish_answer(cluster: Cluster, asker: Origin, answer: Answer) -> None:
    """Put an answer on its way; what is too large is said instead of sent."""
    channel = cluster.channels.node(asker.name)
    try:
        cluster.queue.put(channel, Kind.ANSWER, encode_body(answer), cluster.now)
    except MessageTooLargeError:
        small = Answer(answer.id, answer.epoch, Outcome.TOO_LARGE)
        cluster.queue.put(channel, Kind.ANSWER, encode_body(small), cluster.now)

"""Answers across nodes: who waits here for clients of others, and who elsewhere for clients of ours (cluster.md 9).

Both sides end exactly once, by the first of: an answer, the deadline, the client gone, the node lost.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from roomcast.core.pledges import Owed, Pledges
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
            self._publish(self._encoded(args))
            return None
        outcome = outcome_of(error)
        # On a room the others may still answer, and the asker has a clock of its own.
        if self.alone or outcome is Outcome.FAILED:
            self.tell(outcome, str(error))
        return None

    def tell(self, outcome: Outcome, text: str = "") -> None:
        """End the ask without values."""
        self._publish(Answer(self.ask.id, self.asker.epoch, outcome, text=text))

    def _publish(self, answer: Answer) -> None:
        ticket = self.cluster.answer(self.asker, answer)
        if self.ask.timeout_ms is None:
            self.cluster.relay.pledges.answered(Owed(self.asker, self.ask.id), ticket)

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
    if outcome == Outcome.LOST:
        return NodeLostError("the question or its answer was lost on the way")
    if outcome == Outcome.REFUSED:
        return ValueError(text or "the node of that client refused")
    return SocketIOError(text or "the node of that client could not do it")


ENDS: dict[int, str] = {
    Outcome.OK: "answered",
    Outcome.GONE: "client_gone",
    Outcome.TIMED_OUT: "timed_out",
    Outcome.TOO_LARGE: "too_large",
    Outcome.REFUSED: "refused",
    Outcome.LOST: "node_lost",
}


class Relay:
    """The table of asks that wait for other nodes, and what ends them.

    Those without a deadline also end when the question or its answer may be lost: when it fell out of a publish queue
    (:mod:`roomcast.core.pledges`), or when something that one node wrote on the channel of the other was missed there.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.pledges = Pledges(cluster.queue)
        self._cluster = cluster
        self._owed: list[Owed] = []  # answers that fell out

    def open(self, question: Question, owner: Origin | None, timeout: float | None) -> Ask:
        """Let ``question`` wait for other nodes: for the one ``owner``, or (None) for whoever answers first."""
        cluster = self._cluster
        ask_id = cluster.replies.open(question, owner, None)
        question.elsewhere = partial(self._withdrawn, question, ask_id)
        return Ask(ask_id, None if timeout is None else max(1, round(timeout * 1_000)))

    def _withdrawn(self, question: Question, ask_id: int) -> None:
        """Its time is up, somebody here answered first, or who waited has been cancelled."""
        cluster = self._cluster
        self.pledges.forget(ask_id)
        if cluster.replies.withdraw(ask_id):
            cluster.counters.ask_ends.count("timed_out" if question.overdue(cluster.now) else "withdrawn")

    def answered(self, origin: Origin, answer: Answer) -> Any:
        """An answer has come; one that nobody waits for is dropped and counted."""
        cluster = self._cluster
        if answer.epoch != cluster.origin.epoch:
            cluster.counters.ask_ends.count("late")
            return None
        if answer.id == 0 and answer.outcome == Outcome.LOST:
            return several(*self._give_up(origin))
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

    def lost(self, node: Origin, *, may_return: bool = False) -> list[Any]:
        """A node is lost or has left: all that waits for it alone ends, and all that it waits for is withdrawn.

        One that may return is told so: without a deadline it would go on waiting.
        """
        cluster = self._cluster
        works = [self._lost(question) for question in cluster.replies.lost(node)]
        for key in [key for key in cluster.asked_by if key[0] == node]:
            question = cluster.asked_by.pop(key)
            question.withdraw()
            waiter = question.waiter
            if may_return and isinstance(waiter, AskedByPeer) and waiter.ask.timeout_ms is None:
                waiter.tell(Outcome.LOST)
        return works

    def _lost(self, question: object) -> Any:
        assert isinstance(question, Question)
        self._cluster.counters.ask_ends.count("node_lost")
        return question.fail(NodeLostError("the node of that client is lost, or what was said on the way"))

    # --- asks without a deadline, and what may be lost ----------------------------------------------------------------

    def missed(self, node: Origin) -> list[Any]:
        """Something that a node wrote on this one's channel was lost: an answer, or a question. Returns works.

        Which of them nobody knows: so all that has no deadline ends, here and, since it is told, there.
        """
        works = self._give_up(node)
        self._cluster.answer(node, Answer(0, node.epoch, Outcome.LOST))
        return works

    def _give_up(self, node: Origin) -> list[Any]:
        replies = self._cluster.replies
        doubtful = [number for number in replies.owed_by(node) if self.pledges.was_written(number)]
        return [self._lost(replies.withdraw(number)) for number in doubtful]

    def look(self) -> Any:
        """See what fell out of the publish queue; to be called every now and then. Returns work."""
        cluster = self._cluster
        works = []
        for each in self.pledges.take_fallen():
            if isinstance(each, Owed):
                self._owed.append(each)
            elif (question := cluster.replies.withdraw(each)) is not None:
                works.append(self._lost(question))
        if self._owed and cluster.up:
            owed, self._owed = self._owed, []
            for each in owed:
                ticket = cluster.answer(each.asker, Answer(each.id, each.asker.epoch, Outcome.LOST))
                self.pledges.answered(each, ticket)
        return several(*works) if works else None


def publish_answer(cluster: Cluster, asker: Origin, answer: Answer) -> int:
    """Put an answer on its way; what is too large is said instead of sent. Returns its ticket."""
    channel = cluster.channels.node(asker.name)
    try:
        return cluster.queue.put(channel, Kind.ANSWER, encode_body(answer), cluster.now)
    except MessageTooLargeError:
        small = Answer(answer.id, answer.epoch, Outcome.TOO_LARGE)
        return cluster.queue.put(channel, Kind.ANSWER, encode_body(small), cluster.now)

from __future__ import annotations

import threading
from typing import cast

import pytest
from kafka.errors import KafkaConnectionError, RequestTimedOutError

from roomcast_brokers.backends.kafka import watcher as module
from roomcast_brokers.backends.kafka.following import Topic
from roomcast_brokers.backends.kafka.network import unreachable
from roomcast_brokers.backends.kafka.topics import Topics
from roomcast_brokers.backends.kafka.watcher import ATTEMPTS, Watcher, difference
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.patience import PATIENCE

SHOP = Topic("shop", "first", 4)
OTHER = Topic("other", "x", 1)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        ([SHOP, OTHER], ""),
        ([OTHER, SHOP, Topic("stranger", "y", 1)], ""),
        ([OTHER], "the topic shop is gone"),
        ([Topic("shop", "second", 4), OTHER], "the topic shop was deleted and made anew"),
        ([Topic("shop", "first", 3), OTHER], "the topic shop was deleted and made anew"),
        ([Topic("shop", "first", 6), OTHER], "the topic shop has 6 partitions now"),
    ],
)
def test_what_has_happened_in_words(found: list[Topic], what: str) -> None:
    assert difference({"shop": SHOP, "other": OTHER}, found) == what


Answer = list[Topic] | BrokerUnreachableError


class PlayedTopics:
    """Gives the answers it was given, and the last one for ever."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.asked: list[set[str]] = []
        self.closed = threading.Event()
        self.exhausted = threading.Event()

    def look(self, names: dict[str, Topic]) -> list[Topic]:
        self.asked.append(set(names))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if len(self._answers) == 1:
            self.exhausted.set()
        if isinstance(answer, BrokerUnreachableError):
            raise answer
        return answer

    def close(self) -> None:
        self.closed.set()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERVAL", 0.001)


def watched(*answers: Answer) -> tuple[PlayedTopics, list[BrokerUnreachableError]]:
    """The topics and the failures, when the watcher has ended, or all but the last answer were given."""
    topics = PlayedTopics(*answers)
    failures: list[BrokerUnreachableError] = []
    watcher = Watcher(cast("Topics", topics), {"shop": SHOP}, failures.append)
    watcher.start()
    assert topics.exhausted.wait(PATIENCE)
    if answers[-1] == [SHOP]:
        watcher.stop()
    assert topics.closed.wait(PATIENCE)
    return topics, failures


LOST = unreachable(KafkaConnectionError("gone"))
LATE = unreachable(RequestTimedOutError("late"))


def test_as_long_as_all_is_well_nothing_is_told() -> None:
    topics, failures = watched([SHOP], [SHOP], [SHOP])
    assert not failures
    assert topics.asked[0] == {"shop"}


def test_what_has_happened_is_told_once() -> None:
    _, failures = watched([SHOP], [])
    assert [str(each) for each in failures] == ["the topic shop is gone"]


def test_one_server_of_several_may_be_away() -> None:
    _, failures = watched([SHOP], LOST, LOST, [SHOP])
    assert not failures


def test_all_of_them_may_not() -> None:
    topics, failures = watched(LOST)
    assert failures == [LOST]
    assert len(topics.asked) == ATTEMPTS


def test_an_answer_that_does_not_come_is_not_asked_for_again() -> None:
    topics, failures = watched(LATE)
    assert failures == [LATE]
    assert len(topics.asked) == 1


def test_topics_that_are_added_are_watched_too() -> None:
    topics = PlayedTopics([SHOP], [SHOP, OTHER])
    known = {"shop": SHOP}
    watcher = Watcher(cast("Topics", topics), known, lambda _: None)
    known["other"] = OTHER
    watcher.start()
    assert topics.exhausted.wait(PATIENCE)
    watcher.stop()
    assert topics.closed.wait(PATIENCE)
    assert topics.asked[0] == {"shop", "other"}

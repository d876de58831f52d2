"""Asks Kafka every second whether it is there and whether the topics are what they were, in a thread of its own.

kafka-python's producer and consumer tell nobody when their connections break: they try again in silence. Nor do they
tell when a topic was deleted, made anew or given more partitions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Final

from roomcast_brokers.backends.kafka.following import Topic
from roomcast_brokers.backends.kafka.network import timed_out
from roomcast_brokers.backends.kafka.topics import Topics
from roomcast_brokers.errors import BrokerUnreachableError

# Seconds between two looks; one costs half a millisecond of CPU.
INTERVAL: Final = 1.0

# Looks that have to fail one after another: each goes to another server of those that can be reached, so that the end
# of one of several is no break. What waits for an answer in vain is one at once.
ATTEMPTS: Final = 3


def difference(before: Mapping[str, Topic], found: list[Topic]) -> str:
    """What has happened to the topics, in words; nothing if they are what they were."""
    now = {topic.name: topic for topic in found}
    for name, topic in before.items():
        new = now.get(name)
        if new is None:
            return f"the topic {name} is gone"
        if new.identity != topic.identity or new.partitions < topic.partitions:
            return f"the topic {name} was deleted and made anew"
        if new.partitions != topic.partitions:
            return f"the topic {name} has {new.partitions} partitions now"
    return ""


class Watcher:
    """Looks at ``known``, to which others may add topics. ``topics`` is its own from :meth:`start` on, but for
    questions about new ones. ``failed`` is called once, in its thread.
    """

    def __init__(
        self, topics: Topics, known: Mapping[str, Topic], failed: Callable[[BrokerUnreachableError], None]
    ) -> None:
        self._topics = topics
        self._known = known
        self._failed = failed
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="roomcast-kafka-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Look no more. Does not wait for Kafka."""
        self._stopped.set()

    def _run(self) -> None:
        try:
            while not self._stopped.wait(INTERVAL):
                error = self._look()
                if error is not None:
                    self._failed(error)
                    break
        finally:
            self._topics.close()

    def _look(self) -> BrokerUnreachableError | None:
        error: BrokerUnreachableError | None = None
        for _ in range(ATTEMPTS):
            known = dict(self._known)
            try:
                what = difference(known, self._topics.look(known))
            except BrokerUnreachableError as raised:
                error = raised
                if timed_out(raised):
                    break
            else:
                return BrokerUnreachableError(what) if what else None
        return error

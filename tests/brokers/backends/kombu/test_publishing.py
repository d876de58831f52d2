from __future__ import annotations

import threading

import pytest

from roomcast_brokers.backends.kombu import publishing
from roomcast_brokers.backends.kombu.publishing import Publishing
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.kombu.played_ends import PlayedOutlet, PlayedWorld, lost
from tests.support.services import wait_for


class Told:
    """Counts how often it is told."""

    def __init__(self) -> None:
        self.times = 0
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            self.times += 1


class Scene:
    """A thread that publishes, its outlet, and who is told."""

    def __init__(self, **behaviour: bool) -> None:
        world = PlayedWorld()
        for name, value in behaviour.items():
            setattr(world, name, value)
        self.outlet = PlayedOutlet(world)
        self.told = Told()
        self.publishing = Publishing(self.outlet, self.told)
        self.taken = 0

    def accepted(self, count: int) -> None:
        """Wait until so many are, in all."""

        def look() -> bool:
            self.taken += self.publishing.take()
            return self.taken >= count

        wait_for(look, f"{count} accepted")
        assert self.taken == count


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_what_was_handed_over_goes_out_in_order(scene: Scene) -> None:
    messages = [("a", b"%d" % number) for number in range(1_000)]
    for message in messages:
        scene.publishing.put(*message)
    scene.accepted(1_000)
    assert scene.outlet.published == messages
    assert scene.publishing.settled
    assert scene.told.times >= 1
    scene.publishing.end(farewell=True, timeout=5.0)
    assert scene.outlet.closed is True


def test_all_that_waits_goes_out_in_one_go(scene: Scene) -> None:
    scene.outlet.stuck.clear()
    scene.publishing.put("a", b"first")
    wait_for(lambda: scene.outlet.log, "that it is stuck")
    for _ in range(300):
        scene.publishing.put("a", b"x")
    for _ in range(3):
        scene.publishing.put("a", b"x" * 600_000)
    scene.outlet.stuck.set()
    scene.accepted(304)
    counts = [each for each in scene.outlet.log if isinstance(each, int)]
    assert counts == [1, 256, 44 + 2, 1], "not too many, and not too much, before it looks what was accepted"
    scene.publishing.end(farewell=False, timeout=5.0)


def test_what_is_accepted_later() -> None:
    scene = Scene(accepts=False)
    for _ in range(3):
        scene.publishing.put("a", b"x")
    wait_for(lambda: len(scene.outlet.published) == 3, "that they are published")
    settled = [scene.publishing.settled]
    for more, count in ((2, 2), (1, 3)):
        scene.outlet.accept(more)
        scene.accepted(count)
        settled.append(scene.publishing.settled)
    assert settled == [False, False, True]
    scene.publishing.end(farewell=True, timeout=5.0)


@pytest.mark.parametrize("method", ["publish", "accepted", "check"])
def test_the_first_failure_is_the_end(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "CHECK", 0.01)
    scene = Scene()
    scene.outlet.failures[method] = failure = lost()
    if method == "publish":
        scene.publishing.put("a", b"x")
    wait_for(lambda: scene.publishing.failure, "that it has failed")
    assert scene.publishing.failure is failure
    assert scene.told.times >= 1
    wait_for(lambda: scene.outlet.closed is False, "that the outlet is closed")
    scene.publishing.put("a", b"goes nowhere")
    assert scene.publishing.take() == 0
    scene.publishing.end(farewell=True, timeout=5.0)


def test_a_connection_that_ends_before_the_thread_begins() -> None:
    outlet = PlayedOutlet(PlayedWorld())
    outlet.close(farewell=False)
    one = Publishing(outlet, Told())
    wait_for(lambda: one.failure, "that it is known")
    one.end(farewell=False, timeout=5.0)


def test_a_fault_of_ours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    scene = Scene()
    monkeypatch.setattr(scene.outlet, "accepted", lambda: 1 / 0)
    scene.publishing.put("a", b"x")
    wait_for(lambda: "has failed" in str(scene.publishing.failure), "that it is known")
    scene.publishing.end(farewell=False, timeout=5.0)


def test_what_is_in_the_way(scene: Scene) -> None:
    assert scene.publishing.obstacle is None
    scene.outlet.obstruct("short of memory")
    wait_for(lambda: scene.publishing.obstacle == "short of memory", "that it is known")
    told = scene.told.times
    scene.outlet.obstruct(None)
    wait_for(lambda: scene.publishing.obstacle is None and scene.told.times > told, "that it is over")
    scene.publishing.end(farewell=True, timeout=5.0)


def test_it_is_checked_while_it_is_idle_and_while_it_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "CHECK", 0.01)
    scene = Scene(descriptors=False)
    wait_for(lambda: scene.outlet.log.count("check") >= 3, "checks")
    busy = threading.Event()

    def publish() -> None:
        while not busy.is_set():
            scene.publishing.put("a", b"x")
            scene.publishing.take()

    thread = threading.Thread(target=publish)
    thread.start()
    before = scene.outlet.log.count("check")
    wait_for(lambda: scene.outlet.log.count("check") >= before + 3, "checks")
    busy.set()
    thread.join()
    scene.publishing.end(farewell=True, timeout=5.0)


@pytest.mark.parametrize("bound", ["messages", "bytes"])
def test_more_than_may_wait(scene: Scene, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if bound == "messages":
        monkeypatch.setattr(publishing, "MAX_QUEUED_MESSAGES", 3)
    else:
        monkeypatch.setattr(publishing, "MAX_QUEUED_BYTES", 35)
    scene.outlet.stuck.clear()
    scene.publishing.put("a", b"x" * 10)
    wait_for(lambda: scene.outlet.log, "that it is stuck")
    for _ in range(3):
        scene.publishing.put("a", b"x" * 10)
    with pytest.raises(BrokerUnreachableError, match="more waits"):
        scene.publishing.put("a", b"x" * 10)
    scene.outlet.stuck.set()
    scene.accepted(4)
    scene.publishing.put("a", b"x" * 10)
    scene.accepted(5)
    scene.publishing.end(farewell=True, timeout=5.0)


def test_the_end_does_not_wait_for_who_is_stuck(scene: Scene) -> None:
    scene.outlet.stuck.clear()
    scene.publishing.put("a", b"x")
    scene.publishing.put("a", b"never")
    wait_for(lambda: scene.outlet.log, "that it is stuck")
    scene.publishing.put("a", b"never either")
    scene.publishing.end(farewell=True, timeout=0.01)
    assert scene.outlet.closed is None
    scene.outlet.stuck.set()
    wait_for(lambda: scene.outlet.closed is True, "that it ends all the same")
    assert ("a", b"never either") not in scene.outlet.published

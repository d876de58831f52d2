"""The heartbeat wheel: exact to the fraction of a second, in order, and the same cost for one session and for many."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.engineio.heartbeat import Beat, Wheel

INTERVAL, TIMEOUT = 0.3, 0.2


class Client(Beat):
    """Whatever has a heartbeat."""

    __slots__ = ("__weakref__", "name")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __repr__(self) -> str:
        return self.name


def is_awaited(client: Client) -> bool:
    return bool(client.awaited)


def is_lonely(wheel: Wheel[Client]) -> bool:
    return wheel.lonely


@pytest.fixture
def wheel() -> Wheel[Client]:
    return Wheel(INTERVAL, TIMEOUT)


def test_an_empty_wheel(wheel: Wheel[Client]) -> None:
    assert wheel.due() is None
    assert not is_lonely(wheel)
    assert wheel.ping(1e9) == []
    assert wheel.expired(1e9) == []


def test_a_silent_client_is_closed_after_interval_and_timeout(wheel: Wheel[Client]) -> None:
    client = Client("a")
    wheel.add(client, 0.0)
    assert is_lonely(wheel)
    assert wheel.due() == 0.3
    assert wheel.ping(0.299) == []
    assert wheel.ping(0.3) == [client]
    assert is_awaited(client)
    assert not is_lonely(wheel)
    assert wheel.due() == 0.5
    assert wheel.expired(0.499) == []
    assert wheel.expired(0.5) == [client]
    assert not is_awaited(client)
    assert wheel.due() is None
    wheel.remove(client)
    assert wheel.now == 0.5


def test_the_interval_begins_at_the_pong(wheel: Wheel[Client]) -> None:
    client = Client("a")
    wheel.add(client, 0.0)
    wheel.ping(0.3)
    wheel.pong(client, 0.37)
    assert not is_awaited(client)
    assert wheel.due() == pytest.approx(0.67)
    assert wheel.expired(0.66) == []
    assert wheel.ping(0.68) == [client]
    assert wheel.due() == pytest.approx(0.87)  # a timer's own lateness does not add up


def test_after_a_standstill_a_pong_counts_from_when_its_ping_left(wheel: Wheel[Client]) -> None:
    client = Client("a")
    wheel.add(client, 0.0)
    assert wheel.ping(5.3) == [client]
    assert wheel.due() == pytest.approx(5.5)


def test_a_pong_that_nobody_asked_for_changes_nothing(wheel: Wheel[Client]) -> None:
    client = Client("a")
    wheel.pong(client, 0.0)
    assert wheel.due() is None
    wheel.add(client, 0.0)
    wheel.pong(client, 0.2)
    assert wheel.due() == 0.3
    wheel.remove(client)
    wheel.pong(client, 0.25)
    assert wheel.due() is None


def test_another_packet_buys_time_once_per_ping(wheel: Wheel[Client]) -> None:
    client = Client("a")
    wheel.add(client, 0.0)
    wheel.touched(client, 0.1)
    assert wheel.due() == 0.3
    wheel.ping(0.3)
    wheel.touched(client, 0.4)
    assert wheel.due() == pytest.approx(0.6)
    wheel.touched(client, 0.55)
    assert wheel.due() == pytest.approx(0.6)
    assert wheel.expired(0.601) == [client]


def test_after_the_next_ping_it_may_buy_time_again(wheel: Wheel[Client]) -> None:
    client = Client("a")
    wheel.add(client, 0.0)
    for ping in (0.3, 0.7):
        wheel.ping(ping)
        wheel.touched(client, ping + 0.05)
        assert wheel.due() == pytest.approx(ping + 0.25)
        wheel.pong(client, ping + 0.1)


def test_an_upgrade_starts_a_timeout_anew_if_one_runs(wheel: Wheel[Client]) -> None:
    client = Client("a")
    wheel.add(client, 0.0)
    wheel.rearm(client, 0.1)
    assert wheel.due() == 0.3
    wheel.ping(0.3)
    wheel.touched(client, 0.35)
    wheel.rearm(client, 0.4)
    assert wheel.due() == pytest.approx(0.6)
    wheel.touched(client, 0.5)
    assert wheel.due() == pytest.approx(0.7)


def test_many_are_pinged_in_the_order_in_which_they_are_due(wheel: Wheel[Client]) -> None:
    clients = [Client(str(number)) for number in range(5)]
    for number, client in enumerate(clients):
        wheel.add(client, number / 10)
    wheel.remove(clients[1])
    wheel.remove(clients[1])
    assert wheel.ping(0.6) == [clients[0], clients[2], clients[3]]
    wheel.pong(clients[2], 0.65)
    assert wheel.due() == pytest.approx(0.7)
    assert wheel.ping(0.7) == [clients[4]]
    assert wheel.expired(0.8) == [clients[0], clients[3]]
    assert wheel.due() == pytest.approx(0.9)


def test_removing_in_the_middle_of_what_was_returned(wheel: Wheel[Client]) -> None:
    clients = [Client("a"), Client("b")]
    for client in clients:
        wheel.add(client, 0.0)
    assert wheel.ping(0.3) == clients
    wheel.remove(clients[1])
    assert wheel.expired(0.5) == [clients[0]]


def test_a_closed_session_is_not_kept_alive(wheel: Wheel[Client]) -> None:
    left, gone = Client("left"), Client("gone")
    wheel.add(left, 0.0)
    wheel.add(gone, 0.0)
    reference = weakref.ref(gone)
    wheel.remove(gone)
    gc.disable()
    try:
        del gone
        assert reference() is None
    finally:
        gc.enable()


def test_a_standstill_gives_time_to_those_who_are_awaited(wheel: Wheel[Client]) -> None:
    waiting, new = Client("waiting"), Client("new")
    wheel.extend(5.0)
    wheel.add(waiting, 0.0)
    wheel.ping(0.3)
    wheel.add(new, 0.3)
    wheel.extend(1.0)
    assert wheel.due() == pytest.approx(0.6)
    assert wheel.expired(1.4) == []
    assert wheel.ping(1.4) == [new]
    assert wheel.expired(1.5) == [waiting]
    assert wheel.due() == pytest.approx(1.6)
    assert wheel.expired(1.601) == [new]
    wheel.add(new, 2.0)
    wheel.ping(2.3)
    assert wheel.due() == 2.5


def test_the_driver_is_told_of_a_deadline_before_all_others() -> None:
    told: list[float] = []
    wheel: Wheel[Client] = Wheel(1.0, 10.0, told.append)
    first, second = Client("first"), Client("second")
    wheel.add(first, 0.0)
    assert told == [1.0]
    wheel.add(second, 0.5)
    assert told == [1.0]
    wheel.ping(2.0)
    wheel.pong(first, 2.5)
    assert told == [1.0, 3.5]
    wheel.pong(second, 2.6)
    assert told == [1.0, 3.5]


def test_the_driver_is_not_told_of_a_later_one() -> None:
    told: list[float] = []
    wheel: Wheel[Client] = Wheel(10.0, 1.0, told.append)
    first, second = Client("first"), Client("second")
    wheel.add(first, 0.0)
    wheel.ping(10.0)
    wheel.add(second, 10.0)
    assert told == [10.0]


class Model:
    """The heartbeat of many clients, written down without any cleverness: each with its state and its due time."""

    def __init__(self) -> None:
        self.state: dict[Client, tuple[str, float]] = {}

    def due(self) -> float | None:
        return min((due for _, due in self.state.values()), default=None)

    def take(self, kind: str, now: float) -> set[Client]:
        return {client for client, (state, due) in self.state.items() if state in kind.split() and due <= now}

    def apply(self, step: str, client: Client, now: float) -> None:
        state = self.state.get(client, ("out", 0.0))[0]
        if step == "add" and state == "out":
            self.state[client] = ("idle", now + 3)
        elif step == "remove":
            self.state.pop(client, None)
        elif step == "pong" and state in ("pinged", "touched"):
            self.state[client] = ("idle", now + 3)
        elif step == "touched" and state == "pinged":
            self.state[client] = ("touched", now + 2)
        elif step == "rearm" and state in ("pinged", "touched"):
            self.state[client] = ("pinged", now + 2)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "pong", "touched", "rearm", "tick", "tick"]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(STEPS)
def test_it_does_what_the_model_does(steps: list[tuple[str, int, int]]) -> None:
    wheel: Wheel[Client] = Wheel(3.0, 2.0)
    model = Model()
    clients = [Client(str(number)) for number in range(4)]
    now = 0.0
    for step, which, later in steps:
        now += later
        client = clients[which]
        if step == "tick":
            late = model.take("pinged touched", now)
            assert set(wheel.expired(now)) == late
            for each in late:
                del model.state[each]
            pinged = model.take("idle", now)
            assert set(wheel.ping(now)) == pinged
            model.state.update(dict.fromkeys(pinged, ("pinged", now + 2)))
        elif step == "remove":
            wheel.remove(client)
            model.apply(step, client, now)
        elif step != "add" or client not in model.state:
            getattr(wheel, step)(client, now)
            model.apply(step, client, now)
        assert wheel.due() == model.due()
        assert wheel.lonely is ([state for state, _ in model.state.values()].count("idle") == 1)

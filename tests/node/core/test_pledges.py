"""What somebody waits for without a deadline, and what becomes of it on its way to the broker."""

from __future__ import annotations

from roomcast.core.pledges import Owed, Pledges
from roomcast_brokers.messages import Origin
from tests.support.queue_owner import ALL, LOBBY, Owner, named

ASKER = Origin("bbbb", bytes(8))


def test_what_gets_to_the_broker_is_nobodys_worry() -> None:
    owner = Owner()
    pledges = Pledges(owner.queue)
    pledges.asked(7, owner.put())
    assert not pledges.was_written(7)
    pledges.answered(Owed(ASKER, 1), owner.put())
    owner.take()
    assert pledges.was_written(7)
    assert pledges.take_fallen() == []
    owner.queue.accepted(1, 0.0)
    assert pledges.take_fallen() == []
    assert len(pledges) == 1
    pledges.forget(7)
    pledges.forget(8)
    assert not pledges.was_written(7)
    assert len(pledges) == 0


def test_what_falls_out_unwritten_is_told_once() -> None:
    owner = Owner(up=False)
    pledges = Pledges(owner.queue)
    owner.put(now=0.0)
    pledges.asked(7, owner.put(now=0.0))
    pledges.answered(Owed(ASKER, 1), owner.put(now=1.0))
    pledges.asked(8, owner.put(now=4.0))
    owner.queue.expire(6.0)
    assert pledges.take_fallen() == [7, Owed(ASKER, 1)]
    assert pledges.take_fallen() == []
    owner.queue.expire(20.0)
    assert pledges.take_fallen() == [8]


def test_what_was_written_and_is_not_written_again_is_told_too() -> None:
    owner = Owner()
    pledges = Pledges(owner.queue)
    owner.queue.control(ALL, 9, b"\xc0")
    pledges.asked(7, owner.put())
    owner.put()
    pledges.answered(Owed(ASKER, 1), owner.put())
    owner.take()
    owner.queue.down(1.0)
    assert pledges.take_fallen() == []
    owner.queue.give_up(1.0)
    assert pledges.take_fallen() == [7, Owed(ASKER, 1)]


def test_what_is_forgotten_before_it_falls_out_is_not_told() -> None:
    owner = Owner(up=False)
    pledges = Pledges(owner.queue)
    pledges.asked(7, owner.put())
    pledges.forget(7)
    owner.queue.give_up(1.0)
    assert pledges.take_fallen() == []


def test_what_does_not_even_fit_is_told() -> None:
    owner = Owner(up=False, max_bytes=1_000)
    pledges = Pledges(owner.queue)
    pledges.asked(7, owner.put(LOBBY, named("large", 2_000)))
    assert pledges.take_fallen() == [7]


def test_tickets_that_have_ended_are_forgotten() -> None:
    owner = Owner()
    pledges = Pledges(owner.queue)
    for number in range(100):
        pledges.answered(Owed(ASKER, number), owner.put())
        owner.take()
        owner.queue.accepted(1, 0.0)
    pledges.take_fallen()
    assert pledges._waiting == {}

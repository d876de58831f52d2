from __future__ import annotations

import json

import pytest

from roomcast_brokers.publishing import Settled
from roomcast_emitter.receipts import AsyncReceipt, Outcome, Parcel, Receipt


def test_an_outcome_is_a_text_that_a_task_can_return() -> None:
    assert json.dumps(Outcome.DELIVERED) == '"delivered"'
    assert Outcome("queued") is Outcome.QUEUED


def test_what_concerned_nobody_has_ended_well() -> None:
    parcel = Parcel(0)
    assert parcel.ended()
    assert parcel.outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [
        ([Settled.DELIVERED], Outcome.DELIVERED),
        ([Settled.DELIVERED, Settled.DELIVERED], Outcome.DELIVERED),
        ([Settled.DELIVERED, Settled.ABANDONED], Outcome.UNCONFIRMED),
        ([Settled.ABANDONED, Settled.DELIVERED], Outcome.UNCONFIRMED),
        ([Settled.DROPPED, Settled.DELIVERED], Outcome.DROPPED),
        ([Settled.ABANDONED, Settled.DROPPED], Outcome.DROPPED),
    ],
)
def test_of_two_copies_the_worse_end_counts(ends: list[Settled], outcome: Outcome) -> None:
    parcel = Parcel(len(ends))
    called: list[Outcome] = []
    parcel.when_ended(lambda: called.append(parcel.outcome))
    for end in ends:
        assert not parcel.ended()
        assert parcel.outcome is Outcome.QUEUED
        parcel.end(end)
    assert parcel.ended()
    assert parcel.outcome is outcome
    assert called == [outcome]


def test_who_waits_no_longer_is_not_called() -> None:
    parcel = Parcel(1)
    called: list[str] = []

    def one() -> None:
        called.append("one")

    def two() -> None:
        called.append("two")

    parcel.when_ended(one)
    parcel.when_ended(two)
    parcel.forget(one)
    parcel.end(Settled.DELIVERED)
    assert called == ["two"]


def test_a_receipt_is_a_frozen_value() -> None:
    receipt = Receipt(Outcome.DELIVERED)
    assert receipt.delivered
    assert receipt == Receipt(Outcome.DELIVERED)
    assert receipt.wait() is Outcome.DELIVERED
    with pytest.raises(AttributeError):
        receipt.outcome = Outcome.DROPPED  # type: ignore[misc]  # that is the test


def test_a_receipt_of_what_is_queued_can_be_waited_for() -> None:
    asked: list[float | None] = []

    def settle(timeout: float | None) -> Outcome:
        asked.append(timeout)
        return Outcome.DROPPED

    receipt = Receipt(Outcome.QUEUED, settle)
    assert not receipt.delivered
    assert receipt.wait(3) is Outcome.DROPPED
    assert asked == [3]


async def test_the_same_in_an_event_loop() -> None:
    async def settle(timeout: float | None) -> Outcome:
        return Outcome.DELIVERED if timeout is None else Outcome.QUEUED

    assert await AsyncReceipt(Outcome.DROPPED).wait() is Outcome.DROPPED
    receipt = AsyncReceipt(Outcome.QUEUED, settle)
    assert not receipt.delivered
    assert await receipt.wait(1) is Outcome.QUEUED
    assert await receipt.wait() is Outcome.DELIVERED

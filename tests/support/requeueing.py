"""A consumer on RabbitMQ that hands back what it has dealt with, so that it is delivered again."""

from __future__ import annotations

import itertools

from pamqp.commands import Basic

from roomcast_brokers.backends.aiopika.session import Session


def requeue(every: int) -> None:
    """From now on sessions of this process reject, of what they acknowledge, each so-manyth time, and ask for all of it
    once more.
    """
    acknowledge = Session._acknowledge
    turns = itertools.count(1)

    def acknowledge_or_not(session: Session, number: int) -> None:
        if next(turns) % every:
            acknowledge(session, number)
        else:
            session._acknowledged = number
            session._send(Basic.Nack(number, multiple=True, requeue=True))

    Session._acknowledge = acknowledge_or_not  # type: ignore[assignment, method-assign]  # a function is as good

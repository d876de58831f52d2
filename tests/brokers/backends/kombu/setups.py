"""What the ends of a broker are made of, by URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from roomcast_brokers.backends.kombu.ends import Confirmed, Delivered, Intake, Outlet, Setup
from roomcast_brokers.backends.kombu.location import parse
from tests.support.services import wait_for

Out = TypeVar("Out", bound=Outlet)


def setup(url: str, **options: Any) -> Setup:
    return parse(url if url.startswith("kombu+") else f"kombu+{url}", **options).setup()


class Taken:
    """What has been taken in so far."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.messages: list[tuple[str, bytes]] = []
        self.confirmed: list[tuple[str, int]] = []

    def take(self) -> bool:
        """Whether there may be more."""
        events, more = self.intake.take()
        self.messages += [(each.channel, each.payload) for each in events if isinstance(each, Delivered)]
        self.confirmed += [(each.channel, each.generation) for each in events if isinstance(each, Confirmed)]
        return more

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Take until it holds."""

        def look() -> object:
            self.take()
            return condition()

        wait_for(look, what)

    def until_messages(self, count: int) -> list[tuple[str, bytes]]:
        self.until(lambda: len(self.messages) >= count, f"{count} messages")
        return self.messages

    def until_confirmed(self, count: int) -> list[tuple[str, int]]:
        self.until(lambda: len(self.confirmed) >= count, f"{count} confirmations")
        return self.confirmed


@contextmanager
def taking_in(intake: Intake) -> Iterator[Taken]:
    """It is connected, and let go of at the end."""
    intake.connect()
    try:
        yield Taken(intake)
    finally:
        intake.close(farewell=True)


@contextmanager
def giving_out(outlet: Out) -> Iterator[Out]:
    """It takes messages, and is let go of at the end."""
    outlet.connect()
    wait_for(lambda: outlet.accepted() == 0 and outlet.obstacle() is None, "that it takes messages")
    try:
        yield outlet
    finally:
        outlet.close(farewell=True)


def all_accepted(outlet: Outlet, count: int) -> None:
    """Wait until ``count`` more are accepted, and not one more."""
    found = 0

    def look() -> bool:
        nonlocal found
        found += outlet.accepted()
        return found >= count

    wait_for(look, f"{count} accepted")
    assert found == count

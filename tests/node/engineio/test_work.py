"""What the protocols ask a driver to do."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from roomcast.engineio.work import CloseLink, Several, several

ONE, TWO = CloseLink("one"), CloseLink("two", 1013, "slow", b"tail")


@pytest.mark.parametrize(
    ("works", "joined"),
    [
        ((), None),
        ((None, None), None),
        ((ONE,), ONE),
        ((None, ONE, None), ONE),
        ((ONE, TWO), Several((ONE, TWO))),
        ((TWO, None, ONE), Several((TWO, ONE))),
    ],
)
def test_several_is_the_smallest_work_that_says_it(works: tuple[Any, ...], joined: Any) -> None:
    assert several(*works) == joined


def test_works_are_values() -> None:
    assert CloseLink("one") == ONE
    assert (ONE.code, ONE.reason, ONE.tail) == (None, "", b"")
    with pytest.raises(AttributeError):
        ONE.code = 1  # type: ignore[misc]  # the point of the test
    assert msgspec.structs.replace(ONE, code=1000).code == 1000

"""What the node asks a driver to do."""

from __future__ import annotations

from roomcast.core import work
from roomcast.core.work import CloseLink, Several, several
from roomcast.engineio import work as engine_work


def test_the_works_of_the_engine_are_works_of_the_node() -> None:
    assert (CloseLink, Several, several) == (engine_work.CloseLink, engine_work.Several, engine_work.several)
    assert all(hasattr(work, name) for name in work.__all__)

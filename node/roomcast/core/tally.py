"""A counter per label of a fixed set."""

from __future__ import annotations

from collections.abc import Iterable

OTHER = "other"


class Tally(dict[str, int]):
    """A counter per label of a fixed set; every other label counts as ``other``."""

    __slots__ = ()

    def __init__(self, labels: Iterable[str]) -> None:
        super().__init__(dict.fromkeys((*labels, OTHER), 0))

    def count(self, label: str, amount: int = 1) -> None:
        """Add ``amount`` to ``label``; never raises and never adds a label."""
        if label in self:
            self[label] += amount
        else:
            self[OTHER] += amount

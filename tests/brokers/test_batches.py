from __future__ import annotations

import pytest

from roomcast_brokers.batches import batches


@pytest.mark.parametrize(
    ("sizes", "most", "most_bytes", "slices"),
    [
        ([], 2, 10, []),
        ([1], 2, 10, [[1]]),
        ([1, 2, 3], 2, 10, [[1, 2], [3]]),
        ([4, 4, 4, 2], 10, 10, [[4, 4], [4, 2]]),
        ([20, 1, 20], 10, 10, [[20], [1], [20]]),
        ([5, 5], 10, 10, [[5, 5]]),
        ([0, 0, 0], 1, 10, [[0], [0], [0]]),
    ],
)
def test_slices(sizes: list[int], most: int, most_bytes: int, slices: list[list[int]]) -> None:
    messages = [(str(number), bytes(size)) for number, size in enumerate(sizes)]
    found = [list(each) for each in batches(messages, most, most_bytes)]
    assert [[len(payload) for _, payload in each] for each in found] == slices
    assert [message for each in found for message in each] == messages

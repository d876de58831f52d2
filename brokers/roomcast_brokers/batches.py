"""What is to be sent, in amounts that are worth waiting for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Message = tuple[str, bytes]


def batches(messages: Sequence[Message], most: int, most_bytes: int) -> Iterator[Sequence[Message]]:
    """``messages`` in their order, in slices of at most so many and so large; one that is larger goes alone."""
    begin = size = 0
    for index, (_, payload) in enumerate(messages):
        if index > begin and (size + len(payload) > most_bytes or index - begin >= most):
            yield messages[begin:index]
            begin, size = index, 0
        size += len(payload)
    if begin < len(messages):
        yield messages[begin:]

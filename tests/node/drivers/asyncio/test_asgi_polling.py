"""What ASGI's ``receive`` tells of a request, taken as it is asked for. The rest is in test_polling.py."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.drivers.asyncio.asgi_polling import AsgiIncoming
from roomcast.drivers.asyncio.polling import CutOffError


class Told:
    """A ``receive`` that tells these messages; ``asked`` is how often it was called."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages = list(messages)
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        return self.messages.pop(0)


async def test_a_body_ends_with_its_last_part() -> None:
    told = Told({"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.request"})
    incoming = AsgiIncoming(told)
    assert [await incoming.part() for _ in range(4)] == [b"a", b"", None, None]
    assert told.asked == 2


async def test_a_client_that_goes_in_the_middle() -> None:
    incoming = AsgiIncoming(
        Told({"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.disconnect"})
    )
    assert await incoming.part() == b"a"
    with pytest.raises(CutOffError):
        await incoming.part()


async def test_a_client_that_goes_afterwards() -> None:
    told = Told({"type": "http.request"}, {"type": "http.disconnect"})
    await AsgiIncoming(told).gone()
    assert told.asked == 2

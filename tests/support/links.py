"""The doctor's sessions, played and read to their end."""

from __future__ import annotations

from roomcast.doctor.answers import Ending
from roomcast.doctor.packets import Packet
from roomcast.doctor.probing.links import Link, LinkEndedError
from tests.support.patience import PATIENCE


async def until_end(link: Link) -> tuple[list[Packet], Ending]:
    """What still comes, and how it ends."""
    received: list[Packet] = []
    try:
        while True:
            received.append(await link.receive(PATIENCE))
    except LinkEndedError as error:
        return received, error.ending

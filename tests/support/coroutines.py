"""Coroutines for tests of how coroutines are run: what they do matters less than when they wait."""

from __future__ import annotations

import asyncio
from typing import Any


async def turns(number: int = 3) -> None:
    """Let the loop turn: all that is ready runs, so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


async def returning(value: Any) -> Any:
    return value


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def cleaning_up(cleaned: list[str]) -> None:
    """Wait for ever; once cancelled, take a turn of the loop to clean up."""
    try:
        await for_ever()
    finally:
        await asyncio.sleep(0)
        cleaned.append("up")

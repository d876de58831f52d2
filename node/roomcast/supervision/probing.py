"""Asks a node how it is, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Final

from roomcast.supervision.readings import Reading, read

# Seconds until a node that does not answer counts as silent: several turns of a busy loop.
PATIENCE: Final = 2.0

# Bytes of an answer. A node's metrics are 10 KB.
MAX_ANSWER: Final = 1 << 20

_ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}


async def probe(host: str, port: int) -> Reading:
    """What the node with its metrics there says about itself."""
    host = _ANYWHERE.get(host, host)
    readyz = await get(host, port, "/readyz")
    metrics = None if readyz is None else await get(host, port, "/metrics")
    return read(readyz, metrics)


async def get(host: str, port: int, path: str) -> bytes | None:
    """The body of the answer, whatever its status; None if there is none in time, or none that is HTTP."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, port, limit=MAX_ANSWER)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
                answer = await _read_all(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    head, separator, body = answer.partition(b"\r\n\r\n")
    return body if separator and head.startswith(b"HTTP/1.1 ") else None


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    """Up to the end, and not without one."""
    parts, size = [], 0
    while (part := await reader.read(65_536)) and size < MAX_ANSWER:
        parts.append(part)
        size += len(part)
    return b"".join(parts)

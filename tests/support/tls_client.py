"""A client over TLS: it joins, has something long echoed, and is disconnected by the server."""

from __future__ import annotations

import json
import ssl

from websockets.asyncio.client import connect

import roomcast


async def echoes_over_tls(base: str, sio: roomcast.AsyncServer, trust: ssl.SSLContext) -> str:
    """``base`` is the https URL of a server that echoes the event ``echo``. Returns the URL of its WebSockets."""
    url = base.replace("https", "wss") + "/socket.io/?EIO=4&transport=websocket"
    async with connect(url, ssl=trust, proxy=None) as connection:
        assert str(await connection.recv()).startswith("0{")
        await connection.send("40")
        assert str(await connection.recv()).startswith("40{")
        long = json.dumps(["x" * 400_000], separators=(",", ":"))
        await connection.send(f'421["echo",{long[1:]}')
        assert await connection.recv() == f"431{long}"
        await sio.eio.disconnect()
        await connection.wait_closed()
        assert connection.close_code in {1000, 1005}
    return url

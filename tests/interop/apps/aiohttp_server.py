"""Servers attached to an application of aiohttp, with a page and a WebSocket of its own beside them."""

from __future__ import annotations

from aiohttp import web

from tests.interop.apps.served import HOST, PAGE, port, servers


async def page(request: web.Request) -> web.Response:
    return web.Response(text=PAGE.format(method=request.method, body=await request.text()))


async def shout(request: web.Request) -> web.WebSocketResponse:
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    await websocket.send_str((await websocket.receive_str()).upper())
    await websocket.close()
    return websocket


def build() -> web.Application:
    app = web.Application()
    app.router.add_get("/page", page)
    app.router.add_post("/page", page)
    app.router.add_get("/shout", shout)
    for path, server in servers().items():
        server.attach(app, path)
    return app


if __name__ == "__main__":
    web.run_app(build(), host=HOST, port=port(), print=None)

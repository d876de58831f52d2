"""Servers attached to an application of Sanic, with a page and a WebSocket of its own beside them."""

from __future__ import annotations

from typing import Any

from sanic import HTTPResponse, Request, Sanic, text

from tests.interop.apps.served import HOST, PAGE, port, servers


async def page(request: Request) -> HTTPResponse:
    return text(PAGE.format(method=request.method, body=request.body.decode()))


async def shout(request: Request, websocket: Any) -> None:
    await websocket.send((await websocket.recv()).upper())


def build() -> Any:
    app: Any = Sanic("served")
    app.add_route(page, "/page", ["GET", "POST"])
    app.add_websocket_route(shout, "/shout")
    for path, server in servers().items():
        server.attach(app, path)
    return app


if __name__ == "__main__":
    build().run(host=HOST, port=port(), single_process=True, access_log=False, motd=False)

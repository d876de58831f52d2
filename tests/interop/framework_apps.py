"""The interop application inside Starlette and FastAPI, in the ways that their users mount it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

import roomcast
from tests.interop.interop_app import build


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("a page of the framework")


async def shout(websocket: WebSocket) -> None:
    """A WebSocket of the framework's own, beside ours."""
    await websocket.accept()
    await websocket.send_text((await websocket.receive_text()).upper())
    await websocket.close()


own_routes = [Route("/page", page), WebSocketRoute("/shout", shout)]

around = roomcast.ASGIApp(build(), other_asgi_app=Starlette(routes=[*own_routes]))
"""Roomcast outside, the framework inside."""

mounted_at_root = Starlette(routes=[*own_routes, Mount("/", roomcast.ASGIApp(build()))])

mounted_below = Starlette(
    routes=[*own_routes, Mount("/below", roomcast.ASGIApp(build(), socketio_path="/below/socket.io"))]
)
"""The path that counts is the whole one, as python-socketio's users know it."""

fastapi_app = FastAPI()


@fastapi_app.get("/page", response_class=PlainTextResponse)
async def fastapi_page() -> str:
    return "a page of the framework"


@fastapi_app.websocket("/shout")
async def fastapi_shout(websocket: WebSocket) -> None:
    await shout(websocket)


fastapi_app.mount("/", roomcast.ASGIApp(build()))

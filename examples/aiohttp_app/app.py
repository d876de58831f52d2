"""aiohttp and roomcast in one application: a vote, and every open page sees its count change.

``python -m aiohttp.web --hostname 127.0.0.1 --port 8000 examples.aiohttp_app.app:make`` serves both:
``sio.attach(app)`` puts roomcast among the routes of aiohttp, and starts and stops it with the application.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

import roomcast

CHOICES = ("Tea", "Coffee", "Water")
VOTES = web.AppKey("votes", dict[str, int])
PAGE = Path(__file__).with_name("index.html")

sio = roomcast.AsyncServer()
routes = web.RouteTableDef()


async def count(votes: dict[str, int], choice: object) -> bool:
    """Count a vote, and tell everybody; False for one that cannot be given."""
    if not isinstance(choice, str) or choice not in votes:
        return False
    votes[choice] += 1
    await sio.emit("counted", {"choice": choice, "votes": votes[choice]})
    return True


@routes.get("/")
async def page(_: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE)


@routes.post("/votes")
async def vote_by_post(request: web.Request) -> web.Response:
    """The same over HTTP, for who has no page open."""
    counted = await count(request.app[VOTES], (await request.post()).get("choice"))
    return web.json_response({"counted": counted}, status=201 if counted else 400)


@sio.event
async def connect(sid: str, environ: Mapping[str, Any]) -> None:
    """A page arrives, or returns: it gets the whole count, so it cannot have missed anything.

    The request in the environ is aiohttp's own, and by it the handlers find what the application holds.
    """
    app = environ["aiohttp.request"].app
    await sio.save_session(sid, {"app": app})
    await sio.emit("votes", app[VOTES], to=sid)


@sio.event
async def vote(sid: str, choice: object = None) -> bool:
    """A click on the page. The answer tells whether it was counted."""
    return await count((await sio.get_session(sid))["app"][VOTES], choice)


def make(_: Sequence[str] = ()) -> web.Application:
    """The application, as ``python -m aiohttp.web`` asks for it."""
    app = web.Application()
    app[VOTES] = dict.fromkeys(CHOICES, 0)
    app.add_routes(routes)
    sio.attach(app)
    return app

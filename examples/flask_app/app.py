"""Flask and roomcast in one application: a shopping list that everybody in the house sees change.

``gunicorn --workers 1 --threads 20 examples.flask_app.app:app``, or ``flask --app examples.flask_app.app run`` while
you develop. What is not Socket.IO goes on to Flask.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request, send_file

import roomcast

MAX_ITEMS = 200
MAX_NAME = 60  # characters

app = Flask(__name__)
sio = roomcast.Server()
# Flask stays what it is, with its decorators, `flask run` and test client; roomcast stands in front of it.
app.wsgi_app = roomcast.WSGIApp(sio, app.wsgi_app)  # type: ignore[method-assign]  # as Flask's own pages do it

items: dict[int, str] = {}
lock = threading.Lock()
"""Views and handlers run in threads. Who changes the list tells of it before the next one can: no page sees an older
list after a newer one."""


@app.get("/")
def page() -> Response:
    return send_file(Path(__file__).with_name("index.html"))


@app.post("/items")
def add() -> tuple[dict[str, Any], int]:
    """Put something on the list, and show it on every page: a view emits as a handler does."""
    name = request.form.get("name", "").strip()
    if not 1 <= len(name) <= MAX_NAME:
        abort(400, f"A name has 1 to {MAX_NAME} characters.")
    with lock:
        if len(items) >= MAX_ITEMS:
            abort(503, "Nobody can carry more than that.")
        number = max(items, default=0) + 1
        items[number] = name
        sio.emit("added", {"number": number, "name": name})
    return {"number": number}, 201


@sio.event
def connect(sid: str, environ: Mapping[str, Any]) -> None:
    """A page arrives, or returns: it gets the whole list, so it cannot have missed anything."""
    with lock:
        sio.emit("list", [{"number": number, "name": name} for number, name in items.items()], to=sid)


@sio.event
def bought(sid: str, number: object = None) -> bool:
    """Somebody has it in the basket. The answer tells whether it was still on the list."""
    with lock:
        found = isinstance(number, int) and items.pop(number, None) is not None
        if found:
            sio.emit("gone", number)
    return found

"""The live part of the office: who has signed in may connect, is seen by the others, and can be spoken to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.db import close_old_connections
from django.http import HttpRequest, parse_cookie

import roomcast

MAX_TEXT = 500  # characters

sio = roomcast.Server()


@contextmanager
def database() -> Iterator[None]:
    """Django looks after its database connections around each request. A handler is none, so it does that itself."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()


def user_of(environ: Mapping[str, Any]) -> Any:
    """Who has signed in, by the session cookie of the request that connects; else an ``AnonymousUser``.

    It is ``get_user`` that decides, as it does for views: a session that has ended, a user who was deactivated and a
    password that was changed since are nobody's.
    """
    cookies = parse_cookie(environ.get("HTTP_COOKIE", ""))
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(cookies.get(settings.SESSION_COOKIE_NAME))
    return get_user(request)


def room_of(name: str) -> str:
    """All pages that this user has open."""
    return f"user {name}"


@sio.event
def connect(sid: str, environ: Mapping[str, Any]) -> None:
    with database():
        user = user_of(environ)
    if not user.is_authenticated:
        raise roomcast.exceptions.ConnectionRefusedError("Sign in first.")
    name = user.get_username()
    sio.save_session(sid, {"name": name})
    sio.enter_room(sid, room_of(name))
    sio.emit("arrived", name, skip_sid=sid)


@sio.event
def tell(sid: str, whom: object = None, text: object = None) -> bool:
    """Say something to a colleague, on all pages that are open there. The answer tells whether there is one."""
    if not isinstance(whom, str) or not isinstance(text, str) or not 1 <= len(text) <= MAX_TEXT:
        return False
    with database():
        known = get_user_model().objects.filter(username=whom, is_active=True).exists()
    if known:
        sio.emit("told", {"by": sio.get_session(sid)["name"], "text": text}, to=room_of(whom))
    return bool(known)

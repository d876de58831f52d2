"""Reading the body of a request from its WSGI server, within its bounds of size and time."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from roomcast.engineio.bodies import TOO_LARGE, TOO_SLOW, BodyError, check_head

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime
    from roomcast.engineio.request import Request

# A body without a length is read as far as its server says that it goes; none where that says nothing (PEP 3333).
LENGTH_REQUIRED = (411, "bad_request")


def read_body(runtime: Runtime, request: Request, environ: dict[str, Any], theirs: int | None) -> bytes:
    """The whole body; raises BodyError for one that is too large, too slow, encoded, or cut off.

    How long it may take can be enforced where the server shows its socket (``theirs``); elsewhere the server's own
    limits hold.
    """
    limit = runtime.engine.settings.max_payload
    check_head(request, limit)
    announced = environ.get("CONTENT_LENGTH")
    if not announced:
        if "HTTP_TRANSFER_ENCODING" not in environ:
            return b""
        if not environ.get("wsgi.input_terminated"):
            raise BodyError(*LENGTH_REQUIRED)
        size = limit + 1
    elif announced.isdigit():
        size = int(announced)
    else:
        raise BodyError(400, "bad_request")
    with _in_time(runtime, theirs):
        try:
            body: bytes = environ["wsgi.input"].read(size)
        except Exception as error:  # each server has errors of its own for a body that does not come
            raise BodyError(*TOO_SLOW) from error
    if len(body) > limit:
        raise BodyError(*TOO_LARGE)
    if announced and len(body) < size:
        raise BodyError(*TOO_SLOW)
    return body


@contextmanager
def _in_time(runtime: Runtime, theirs: int | None) -> Iterator[None]:
    """Whoever reads from the connection meanwhile reads its end once ``body_timeout`` is over."""
    if theirs is None:
        yield
        return
    engine = runtime.engine
    with socket.socket(fileno=os.dup(theirs)) as connection:
        with runtime.turn:
            due = engine.now + engine.settings.body_timeout
            deadline = engine.deadlines.add(due, lambda _: _end_reading(connection))
        try:
            yield
        finally:
            with runtime.turn:
                engine.deadlines.cancel(deadline)


def _end_reading(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        pass  # the client has gone by itself

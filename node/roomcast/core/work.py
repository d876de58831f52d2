"""What the node asks a driver to do: values, one at a time, each done before the next packet is parsed (design §3).

A driver knows how to call application code, and nothing else about it: what an outcome means is decided by the method
of the node that each docstring names, whose answer is more work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from roomcast.engineio.work import CloseLink, Several, several

if TYPE_CHECKING:
    from roomcast.core.handlers import Call
    from roomcast.core.sockets import Socket

__all__ = [
    "CallConnect",
    "CallDisconnect",
    "CallHandler",
    "CloseLink",
    "DrawTag",
    "Notify",
    "PauseReading",
    "Report",
    "ResetBroker",
    "SettleAck",
    "Several",
    "several",
]


class CallHandler(msgspec.Struct, frozen=True):
    """Call ``call.fn(*args)`` for an event; then :meth:`Node.event_done` where ``ack_id`` is not None."""

    call: Call
    args: list[Any]
    socket: Socket
    ack_id: int | None


class CallConnect(msgspec.Struct, frozen=True):
    """Call the connect handler; then :meth:`Node.connect_done` with what it returned or raised."""

    call: Call
    args: tuple[Any, ...]
    socket: Socket


class CallDisconnect(msgspec.Struct, frozen=True):
    """Call the disconnect handler; then :meth:`Node.disconnect_done`, whatever it did."""

    call: Call
    args: tuple[Any, ...]
    socket: Socket


class SettleAck(msgspec.Struct, frozen=True):
    """End an acknowledgement that the application waits for: with the client's ``args``, or with ``error``.

    ``waiter`` is what the application gave: a callback, run as a task with the args and never with an error, or the
    driver's own object for ``call``.
    """

    waiter: Any
    args: tuple[Any, ...] = ()
    error: Exception | None = None


class Notify(msgspec.Struct, frozen=True):
    """Call ``fn(*args)``, plain or coroutine function; nothing depends on what it does. Those of one ``client``
    begin in order.
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...]
    client: Any = None


class Report(msgspec.Struct, frozen=True):
    """Write ``text`` to the log at ``level`` (``info``, ``warning`` or ``error``): something rare about the cluster."""

    level: str
    text: str


class ResetBroker(msgspec.Struct, frozen=True):
    """Make the connection to the broker anew: this node does not hear itself through it."""


class DrawTag(msgspec.Struct, frozen=True):
    """Another node has this one's tag: its clients were told to go, and another tag was drawn. Join anew under it."""


class PauseReading(msgspec.Struct, frozen=True):
    """Read nothing more from this client for so many seconds: it sends faster than it may."""

    seconds: float

"""How a node that stops tells its clients to move to others: evenly over the time that it has, and nobody in the middle
of something as long as it can wait (faults.md F17).

Decides, and does nothing: the driver asks again and again who is to go now, and does the work.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from roomcast.core.client import Client
from roomcast.core.sockets import CONNECTING

if TYPE_CHECKING:
    from roomcast.core.sockets import Socket
    from roomcast.engineio.engine import Engine
    from roomcast.engineio.session import Session

# Told to the application's disconnect handlers, and over the WebSocket, with the code of a service that restarts: after
# it all clients come back by themselves.
REASON: Final = "server shutting down"
SERVICE_RESTART: Final = 1012
# Clients a second that are told to move where the time would allow to go slower: so many handshakes more are a few per
# cent of what one of the other nodes can do, so a node with few clients need not use all of its time.
LEAST_RATE: Final = 50.0
# Sessions that one step looks at beyond those that it ends: where thousands wait for an answer, looking at all of them
# twenty times a second would keep the loop from what they wait for.
LOOKS: Final = 512


class Drain:
    """One stop, which begins at ``now`` (seconds, monotonic) with the sessions that are there; none may come any more.

    They go at an even pace over ``seconds``, in no particular order. Who is in the middle of something (:func:`busy`)
    is put off until it is done, at the longest until the end of that time. ``answering`` gives the sockets for which a
    handler is still running.
    """

    def __init__(self, engine: Engine, seconds: float, now: float, answering: Callable[[], Iterable[Socket]]) -> None:
        self._engine = engine
        self._answering = answering
        self._waiting = deque(session for session in engine.sessions.values() if session.alive)
        self._rate = max(LEAST_RATE, len(self._waiting) / seconds) if seconds > 0 else LEAST_RATE
        self._began = now
        self._until = now + seconds
        self.told = 0
        """How many were told to go."""
        self.polling = 0
        """How many of these were polling."""

    def over(self) -> bool:
        """Whether everybody has gone or was told to."""
        return not self._waiting

    def step(self, now: float, hurried: bool = False) -> Iterator[Any]:
        """End those whose time has come; yields work. ``hurried``: everybody's time has come."""
        self._engine.now = now
        last = hurried or now >= self._until
        due = len(self._waiting) if last else 1 + int((now - self._began) * self._rate) - self.told
        answering = set() if last else {id(socket.client.session) for socket in self._answering()}
        for _ in range(len(self._waiting) if last else min(len(self._waiting), due + LOOKS)):
            if due <= 0:
                return
            session = self._waiting.popleft()
            if not session.alive:
                continue
            if not last and (id(session) in answering or busy(session)):
                self._waiting.append(session)
                continue
            due -= 1
            self.told += 1
            self.polling += session.polling is not None
            yield self._engine.close(session, REASON, SERVICE_RESTART)


def busy(session: Session) -> bool:
    """Whether ending this session now would cut off something that is about to be done.

    It is just moving to a WebSocket, has not taken all that was sent to it, sends a packet in parts, is coming in, or
    owes an answer.
    """
    box = session.outbox
    if session.candidate is not None or box.frames or box.sink.get_write_buffer_size():
        return True
    client = session.upper
    if not isinstance(client, Client):
        return False  # bare Engine.IO knows of nothing that would be answered
    if client.assembly is not None or client in client.node.unconnected:
        return True
    return any(_unfinished(socket) for socket in client.sockets)


def _unfinished(socket: Socket) -> bool:
    return socket.state == CONNECTING or (socket.acks is not None and len(socket.acks) > 0)

"""An answer to a request that is given later: on the request's own socket where that can be taken, else in its task."""

from __future__ import annotations

from _socket import socket as PlainSocket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from roomcast.drivers.blocking.answers import Answer
from roomcast.drivers.blocking.handover import HandedOver, take
from roomcast.drivers.blocking.sockets import SocketConnection
from roomcast.engineio import response

if TYPE_CHECKING:
    from roomcast.drivers.blocking.runtime import Runtime
    from roomcast.engineio.response import Response


class HeldRequest(SocketConnection):
    """A request that waits on the socket which its WSGI server gave away. Its answer ends the connection."""

    def __init__(self, runtime: Runtime, sock: PlainSocket, on_lost: Callable[[], Any]) -> None:
        super().__init__(runtime, sock)
        self._on_lost: Callable[[], Any] | None = on_lost

    def answer(self, answer: Response) -> None:
        """Write it, and close."""
        self._on_lost = None
        self.reading = False
        self.write(response.render(answer))
        self.close()

    def lost(self) -> None:
        on_lost, self._on_lost = self._on_lost, None
        if on_lost is not None:
            self.runtime.do(on_lost())


class Later:
    """The answer to one request; ``theirs`` is the descriptor of its connection, where that may be taken.

    :meth:`give` and :meth:`hold` are for turns; :meth:`wait` is for the task of the request, outside of one.
    """

    def __init__(self, runtime: Runtime, theirs: int | None) -> None:
        self._runtime = runtime
        self._theirs = theirs
        self._answer = Answer(runtime.concurrency.make_event())
        self._held: HeldRequest | None = None

    @property
    def given(self) -> bool:
        """Whether it is there."""
        return self._answer.settled

    def give(self, answer: Response) -> None:
        """This is it; only the first counts."""
        if self.given:
            return
        self._answer.settle((answer,), None)
        if self._held is not None:
            self._held.answer(answer)

    def hold(self, on_lost: Callable[[], Any]) -> bool:
        """Let the request wait on its own socket, in the turn in which that turned out. False where that cannot be.

        ``on_lost`` is called, and the work that it returns done, if the client goes before it is answered.
        """
        if self._theirs is None:
            return False
        try:
            self._held = HeldRequest(self._runtime, take(self._runtime, self._theirs), on_lost)
        except OSError:  # the process has as many descriptors as it may: then its task waits
            return False
        self._held.watch()
        return True

    def wait(self, patience: float | None = None) -> Response:
        """The answer. Raises HandedOver where the request waits elsewhere, TimeoutError after ``patience`` seconds."""
        if self._held is not None:
            raise HandedOver
        (found,) = self._answer.wait(patience)
        answer: Response = found
        return answer

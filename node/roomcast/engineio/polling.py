"""The polling transport of one session (wire.md 1.5, 1.6, 1.9): at most one GET waits, at most one POST is read.

As a :class:`~roomcast.engineio.outbox.Sink` it answers the GET that waits; while none does, its outbox is paused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from roomcast.engineio.payload import join, polling_form
from roomcast.engineio.response import Response

if TYPE_CHECKING:
    from roomcast.engineio.outbox import Outbox
    from roomcast.engineio.request import Request

NOOP_BODY = b"6"
CLOSE_BODY = b"1"
# What a client reads that comes back to a session which the server has closed meanwhile (wire.md 1.10).
NOOP_AND_CLOSE = b"6\x1e1"

NO_FAREWELL = (None, "")

Answer = Callable[[Response], object]


class Polling:
    """The state of the polling transport. ``render`` makes the response of a payload for the request that waits.

    Once the server has closed the session, ``goodbye`` is what the last GET reads, and ``farewell`` is (code, text) of
    the close frame for a WebSocket that takes the session over all the same.
    """

    __slots__ = ("answer", "farewell", "goodbye", "outbox", "posting", "render", "request", "split")

    def __init__(
        self,
        render: Callable[[Request, bytes], Response],
        split: Callable[[bytes], list[tuple[int, bytes]]],
    ) -> None:
        self.render = render
        self.split = split
        self.answer: Answer | None = None
        self.request: Request | None = None
        self.posting = False
        self.goodbye = NOOP_AND_CLOSE
        self.farewell: tuple[int | None, str] = NO_FAREWELL
        self.outbox: Outbox | None = None

    @property
    def waiting(self) -> bool:
        """Whether a GET is held."""
        return self.answer is not None

    def hold(self, request: Request, answer: Answer) -> None:
        """Let a GET wait; ``answer`` is called exactly once, with its response."""
        self.request = request
        self.answer = answer

    def release(self, payload: bytes) -> bool:
        """Answer the GET that waits with this payload; False when there is none."""
        answer, request = self.answer, self.request
        self.answer = self.request = None
        if self.outbox is not None and not self.outbox.paused:
            self.outbox.pause()
        if answer is None or request is None:
            return False
        answer(self.render(request, payload))
        return True

    def forget(self) -> None:
        """The GET that waited has lost its connection."""
        self.answer = self.request = None
        if self.outbox is not None:
            self.outbox.pause()

    def write(self, block: bytes) -> None:
        """Answer the GET that waits with all packets of a block of frames."""
        self.release(join(self._packets(block)))

    def end(self, block: bytes, last: bytes) -> bool:
        """Answer it with what was still to be written and a last packet; False when none waits."""
        return self.release(join([*self._packets(block), last]))

    def _packets(self, block: bytes) -> list[bytes]:
        return [polling_form(opcode, body) for opcode, body in self.split(block)]

    def get_write_buffer_size(self) -> int:
        """Nothing waits here: what cannot be written stays in the outbox."""
        return 0

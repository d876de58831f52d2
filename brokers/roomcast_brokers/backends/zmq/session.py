"""A client's side without its socket: what it wants of the forwarder, what it has handed over, and what it may believe.

Everything is called with frames and the present time, in seconds. The wishes survive a break, nothing else does: each
connection begins with :meth:`Session.began`, and says hello, subscribes everything and hears it confirmed before it is
UP.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final

from roomcast_brokers.backends.zmq.frames import (
    PROTOCOL,
    Count,
    Frame,
    FrameError,
    Hello,
    Messages,
    Names,
    Refused,
    Waiting,
    Welcome,
    check_channel,
    check_message,
    cost_of,
    decode,
    encode,
)
from roomcast_brokers.contracts import Listener, State, Traits
from roomcast_brokers.errors import BrokerUnreachableError

# A connection is one line in each direction, and the forwarder takes each message to all who want it before the next.
TRAITS: Final = Traits(ordered_across_channels=True)

# How often a client asks whether the forwarder is there. An answer takes less than a millisecond.
BEAT: Final = 1.0

# A forwarder that says nothing for so long, though it was asked, is taken for dead: it was stopped, or cut off. One
# that ends is noticed at once, by the end of the connection.
SILENCE: Final = 3.0

# A forwarder answers a hello as soon as it comes to it. Connections also come about where nobody will ever answer: with
# the listening socket that a child of the forwarder's process has inherited.
GREETING: Final = 2.0


class Phase(Enum):
    """How far this connection is."""

    AWAY = "away"
    GREETING = "greeting"  # hello was said
    RESUMING = "resuming"  # welcomed; what was wanted before is being confirmed
    UP = "up"


class Session:
    """See the module. ``on_ready`` is called when something is to be written and nothing was before. ``malformed``
    counts frames that were none.

    :meth:`received`, :meth:`lost` and :meth:`closed` call the listener, which may call anything here.
    """

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self.listener: Listener | None = None
        self.phase = Phase.AWAY
        self.malformed = 0
        self._on_ready = on_ready
        self._wants: dict[str, int] = {}  # channel → generation
        # channel → the first token that counts: what was asked before an unsubscribe is not answered
        self._valid_from: dict[str, int] = {}
        self._hearing: set[str] = set()  # confirmed over this connection
        self._missing: set[str] = set()  # to be confirmed before UP
        self._token = 0
        self._waiting = Waiting()
        self._pending: bytes | None = None  # a frame that was taken and is not written yet
        self._asks = False  # a beat is to be written
        self._handed = 0
        self._accepted = 0
        self._heard = 0.0
        self._ticked = 0.0
        self._answers: dict[type[Frame], Callable[[Frame], None]] = {
            Welcome: self._welcome,
            Messages: self._messages,
            Names: self._confirmed,
            Count: self._count,
        }

    @property
    def settled(self) -> bool:
        """Whether all that was handed over is accepted."""
        return self._handed == self._accepted

    @property
    def channels(self) -> int:
        return len(self._wants)

    # --- what the user of the broker wants --------------------------------------------------------------------------

    def publish(self, channel: str, payload: bytes) -> None:
        """Raises as :meth:`roomcast_brokers.contracts.AsyncPublisher.publish`."""
        check_message(channel, payload)
        if self.phase is not Phase.UP:
            raise BrokerUnreachableError("the forwarder cannot be reached at present")
        self._handed += 1
        waiting = self._waiting
        idle = not waiting.cost
        waiting.put_message((channel, payload), cost_of(channel, payload))
        if idle:
            self._on_ready()

    def subscribe(self, channel: str, generation: int) -> None:
        check_channel(channel)
        new = channel not in self._wants
        self._wants[channel] = generation
        if self.phase in (Phase.RESUMING, Phase.UP):
            if new and self.phase is Phase.RESUMING:
                self._missing.add(channel)
            self._ask(channel, new)
            self._on_ready()

    def unsubscribe(self, channel: str) -> None:
        if self._wants.pop(channel, None) is None:
            return
        self._hearing.discard(channel)
        self._missing.discard(channel)
        self._valid_from.pop(channel, None)
        if self.phase in (Phase.RESUMING, Phase.UP):
            self._waiting.put_name((channel, 0))
            self._on_ready()

    # --- the connection ---------------------------------------------------------------------------------------------

    def began(self, now: float) -> None:
        """There is a new connection; it may not have come about yet."""
        self._forget()
        self.phase = Phase.GREETING
        self._heard = self._ticked = now
        self._pending = encode(Hello(PROTOCOL))

    def drop(self) -> None:
        """The connection is given up; :meth:`lost` tells so, later."""
        self._forget()

    def lost(self, cause: Exception) -> None:
        """The connection is no more, or did not come about."""
        self._forget()
        if self.listener is not None:
            self.listener.changed(State.CONNECTING, cause)

    def closed(self) -> None:
        """The end: the listener hears that, and nothing after it."""
        self._forget()
        self._wants.clear()
        self._valid_from.clear()
        listener, self.listener = self.listener, None
        if listener is not None:
            listener.changed(State.CLOSED, None)

    def next_frame(self) -> bytes | None:
        """What is to be written next, the same until it is :meth:`written`."""
        if self._pending is None:
            if self._waiting.cost:
                self._pending = encode(self._waiting.take(0))
            elif self._asks:
                self._asks = False
                self._pending = encode(Count(0))
        return self._pending

    def written(self) -> None:
        self._pending = None

    def tick(self, now: float) -> str | None:
        """Every BEAT; what has come in should be read before. Says why the connection is to be given up, if it is."""
        stalled = now - self._ticked > 2 * BEAT
        self._ticked = now
        if stalled:  # by us: nothing could be read either, so the forwarder is asked first
            self._heard = now
        if self.phase is Phase.GREETING:
            return "nothing there answers as a forwarder does" if now - self._heard >= GREETING else None
        if now - self._heard >= SILENCE:
            return "the forwarder has stopped to answer"
        self._asks = True
        return None

    def received(self, data: bytes, now: float) -> str | None:
        """One frame of the forwarder's. Says why the connection is to be given up, if it is."""
        try:
            frame = decode(data)
        except FrameError:
            self.malformed += 1
            return None
        if isinstance(frame, Refused):
            return f"the forwarder refused: {frame.why[:100]}"
        answer = self._answers.get(type(frame))
        if answer is None:
            self.malformed += 1
        else:
            self._heard = now
            answer(frame)
        return None

    # --- what the frames do -----------------------------------------------------------------------------------------

    def _welcome(self, _: Frame) -> None:
        if self.phase is not Phase.GREETING:
            self.malformed += 1
            return
        self.phase = Phase.RESUMING
        self._missing = set(self._wants)
        for channel in self._wants:
            self._ask(channel, True)
        self._look_whether_up()

    def _confirmed(self, frame: Frame) -> None:
        assert isinstance(frame, Names)
        for channel, token in frame.items:
            first = self._valid_from.get(channel)
            if first is None or token < first:
                continue  # not wanted any more, or wanted anew
            self._hearing.add(channel)
            self._missing.discard(channel)
            if self.listener is not None:
                self.listener.confirmed(channel, self._wants[channel])
        self._look_whether_up()

    def _messages(self, frame: Frame) -> None:
        assert isinstance(frame, Messages)
        self._accept(frame.accepted)
        hearing = self._hearing
        for channel, payload in frame.items:
            # asked each time: the listener may unsubscribe, and may close us
            if channel in hearing and self.listener is not None:
                self.listener.delivered(channel, payload)

    def _count(self, frame: Frame) -> None:
        assert isinstance(frame, Count)
        self._accept(frame.accepted)

    def _accept(self, accepted: int) -> None:
        count = accepted - self._accepted
        if accepted > self._handed or count < 0:
            self.malformed += 1
        elif count:
            self._accepted = accepted
            if self.listener is not None:
                self.listener.accepted(count)

    def _look_whether_up(self) -> None:
        if self.phase is Phase.RESUMING and not self._missing:
            self.phase = Phase.UP
            if self.listener is not None:
                self.listener.changed(State.UP, None)

    def _ask(self, channel: str, new: bool) -> None:
        self._token += 1
        if new:
            self._valid_from[channel] = self._token
        self._waiting.put_name((channel, self._token))

    def _forget(self) -> None:
        """Nothing of the former connection is true any more. In place: somebody may be looping over it."""
        self.phase = Phase.AWAY
        self._hearing.clear()
        self._missing.clear()
        self._valid_from.clear()
        self._waiting.clear()
        self._pending = None
        self._asks = False
        self._handed = self._accepted = 0

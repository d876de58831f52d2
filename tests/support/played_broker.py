"""A broker without I/O between nodes without I/O: nothing moves, breaks or gets lost unless a test says so.

A message goes in steps: *handed over* by its node, *taken* by the broker (which copies it to whoever subscribes its
channel at that moment), *given* to each subscriber. Requests for subscriptions have a way of their own to the broker;
confirmations come in one line with the messages. What a contract promises (:mod:`roomcast_brokers.contracts`) holds
whatever order the test makes these steps in.

A durable one goes on copying for whoever is cut off, and gives it all when he is back, the last of what he had had
before once more. Where it keeps no order across channels, some may be slow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from roomcast_brokers.contracts import Listener, State, Traits
from roomcast_brokers.errors import BrokerUnreachableError

TRAITS = Traits(ordered_across_channels=True)


class Handed(msgspec.Struct):
    """A message on its way to the broker."""

    channel: str
    payload: bytes
    taken: bool = False


class Copy(msgspec.Struct, frozen=True):
    """A message on its way to one subscriber, or (``payload`` None) the confirmation of that generation.

    Where the traits say that nothing is confirmed, it only tells that the request was written.
    """

    channel: str
    payload: bytes | None = None
    generation: int = 0


class Way:
    """One node's way to the broker and back, as :class:`roomcast_brokers.contracts.AsyncBroker` has it.

    ``given`` is all that was given to the node. ``loses(copy)`` says what is lost on the way to it.
    """

    def __init__(self, broker: PlayedBroker) -> None:
        self.broker = broker
        self.traits = broker.traits
        self.up = False
        self.wanted: dict[str, int] = {}
        self.subscribed: dict[str, int] = {}
        self.requests: deque[Copy] = deque()  # generation 0: unsubscribe
        self.handed: deque[Handed] = deque()
        self.incoming: deque[Copy] = deque()
        self.given: list[Copy] = []
        self.loses: Callable[[Copy], bool] = lambda _: False
        self.resets = 0
        self.cut = False  # until a test restores it
        self.slow: set[str] = set()  # channels of which nothing is given for now
        self.repeats = 0  # how many of the last messages a durable broker gives again after a break
        self._listener: Listener | None = None

    @property
    def listener(self) -> Listener:
        assert self._listener is not None, "not opened"
        return self._listener

    # --- what the node does -------------------------------------------------------------------------------------------

    def open(self, listener: Listener) -> None:
        """Reached in the next :meth:`settle`, unless the broker is down."""
        self._listener = listener
        self.broker.ways.append(self)

    def publish(self, channel: str, payload: bytes) -> None:
        if not self.up:
            raise BrokerUnreachableError("away")
        self.handed.append(Handed(channel, payload))

    def subscribe(self, channel: str, generation: int) -> None:
        self.wanted[channel] = generation
        if self.up:
            self.requests.append(Copy(channel, None, generation))
            if not self.traits.confirms_subscriptions:
                self.incoming.append(self.requests[-1])

    def unsubscribe(self, channel: str) -> None:
        if self.wanted.pop(channel, None) is None:
            return
        if self.up:
            self.requests.append(Copy(channel))
        elif self.traits.durable:
            self.subscribed.pop(channel, None)
        self.incoming = deque(copy for copy in self.incoming if copy.channel != channel)

    def reset(self) -> None:
        self.resets += 1
        self.break_off()
        if not self.broker.down:
            self.restore()

    def close(self) -> None:
        """Write what was handed over, and be gone."""
        while self.take():
            pass
        self.vanish()

    def vanish(self) -> None:
        """The process is dead: nothing that it has not written will be."""
        if self in self.broker.ways:
            self.broker.ways.remove(self)
        self.up = False
        self.subscribed.clear()
        self._listener = None

    # --- the steps, one at a time -------------------------------------------------------------------------------------

    def answer_request(self) -> bool:
        """The broker hears of one subscription, or of the end of one."""
        if not self.requests:
            return False
        request = self.requests.popleft()
        if request.generation:
            self.subscribed[request.channel] = request.generation
            if self.traits.confirms_subscriptions:
                self.incoming.append(request)
        else:
            self.subscribed.pop(request.channel, None)
        return True

    def take(self, position: int = 0) -> bool:
        """The broker takes a message: the oldest, or one that comes before those of other channels."""
        waiting = [handed for handed in self.handed if not handed.taken]
        if not waiting:
            return False
        handed = waiting[position % len(waiting)]
        if not self.traits.ordered_across_channels:
            handed = next(each for each in waiting if each.channel == handed.channel)
        else:
            handed = waiting[0]
        handed.taken = True
        self.broker.spread(handed.channel, handed.payload)
        return True

    def tell_receipts(self) -> bool:
        """The node hears how many of its oldest messages are with the broker."""
        count = 0
        while self.handed and self.handed[0].taken:
            self.handed.popleft()
            count += 1
        if count:
            self.listener.accepted(count)
        return count > 0

    def give(self) -> bool:
        """The node gets the oldest of what is on its way to it, of channels that are not slow."""
        copy = next((each for each in self.incoming if each.payload is None or each.channel not in self.slow), None)
        if copy is None:
            return False
        self.incoming.remove(copy)
        if copy.payload is None:
            if self.wanted.get(copy.channel) == copy.generation:
                self.listener.confirmed(copy.channel, copy.generation)
        elif copy.channel in self.wanted and not self.loses(copy):
            self.given.append(copy)
            self.listener.delivered(copy.channel, copy.payload)
        return True

    def settle(self) -> bool:
        """Every step there is, until nothing moves; whether anything did."""
        moved = False
        if not (self.up or self.cut or self.broker.down or self._listener is None):
            self.restore()
            moved = True
        while self.up and any((self.answer_request(), self.take(), self.tell_receipts())):
            moved = True
        while self.up and self.give():
            moved = True
        return moved

    # --- faults -------------------------------------------------------------------------------------------------------

    def break_off(self, arrived: int = 0) -> None:
        """The connection breaks; of what was handed over so many more have reached the broker, without a receipt."""
        if not self.up:
            self.cut = True
            return
        for _ in range(arrived):
            self.take()
        self.up = False
        self.cut = True
        self.handed.clear()
        self.requests.clear()
        if self.traits.durable:
            self.incoming = deque(copy for copy in self.incoming if copy.payload is not None)
        else:
            self.incoming.clear()
            self.subscribed.clear()
        self.listener.changed(State.CONNECTING, BrokerUnreachableError("broken off"))

    def restore(self) -> None:
        """The connection is there again, with all subscriptions, as one step; or with requests for them."""
        self.cut = False
        if self.traits.durable:
            again = [copy for copy in self.given[len(self.given) - self.repeats :] if copy.channel in self.wanted]
            self.incoming.extendleft(reversed(again))
        else:
            self.incoming.clear()
        if self.traits.confirms_subscriptions:
            self.subscribed = dict(self.wanted)
        else:
            self.requests += [Copy(channel, None, generation) for channel, generation in self.wanted.items()]
        for channel, generation in self.wanted.items():
            self.listener.confirmed(channel, generation)
        self.up = True
        self.listener.changed(State.UP, None)

    def lose(self, count: int = 1) -> None:
        """The oldest messages on their way to this node are gone; confirmations are not."""
        for _ in range(count):
            message = next((copy for copy in self.incoming if copy.payload is not None), None)
            if message is not None:
                self.incoming.remove(message)


class PlayedBroker:
    """``taken`` is every message that it took, in order."""

    def __init__(self, traits: Traits = TRAITS) -> None:
        self.traits = traits
        self.down = False
        self.ways: list[Way] = []
        self.taken: list[tuple[str, bytes]] = []

    def spread(self, channel: str, payload: bytes) -> None:
        """Copy a message to all who subscribe its channel now."""
        self.taken.append((channel, payload))
        for way in self.ways:
            if channel in way.subscribed:
                way.incoming.append(Copy(channel, payload))

    def take_down(self) -> None:
        """The broker ends, and forgets everything."""
        self.down = True
        for way in self.ways:
            way.break_off()

    def bring_back(self) -> None:
        self.down = False
        for way in self.ways:
            way.restore()

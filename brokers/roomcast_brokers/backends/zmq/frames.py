"""What client and forwarder say to each other: one frame is one MessagePack array that begins with its kind.

::

    client                          forwarder
      Hello(protocol)      ─────▶
                           ◀─────   Welcome(protocol)
      Names([(channel, token)…]) ▶                          a token above 0 wants the channel, 0 does not any longer
                           ◀─────   Names([(channel, token)…])      "what is published from now on comes to you"
      Messages(0, [(channel, payload)…]) ▶
                           ◀─────   Messages(accepted, [(channel, payload)…])
                           ◀─────   Count(accepted)         if there is nothing to deliver
      Count(0)             ─────▶                           once a second: are you there?
                           ◀─────   Count(accepted)
      Goodbye()            ─────▶
                           ◀─────   Refused(why)            to whom it does not know, or does not want to

``accepted`` is how many of this client's messages the forwarder has taken since its Hello. Each side reads and answers
in order, so a confirmation stands exactly where it belongs among the deliveries.

Bytes are not trusted: what is not one of these, or longer than the limits below, is no frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Annotated, Final, cast

import msgspec

from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.errors import AddressError, BrokerError, MessageTooLargeError

PROTOCOL: Final = "roomcast-zmq/1"

# Four times what the channels of a cluster need (its name has at most 64 bytes, a room's channel 38 more).
MAX_CHANNEL_BYTES: Final = 512

# A frame is closed when what is in it costs that much: large enough that a frame's own price (10 µs) is spread over
# hundreds of messages, small enough that some of them may wait in every queue below us.
PAGE_BYTES: Final = 262_144

# What an item costs beside its payload and its channel: the Python objects that hold it while it waits.
ITEM_COST: Final = 128

# The longest frame: a page with one more message that just did not fill it, and its heads. libzmq cuts off who sends
# more.
MAX_FRAME_BYTES: Final = PAGE_BYTES + MAX_MESSAGE_BYTES + 4 * MAX_CHANNEL_BYTES + 1_024

Channel = Annotated[str, msgspec.Meta(max_length=MAX_CHANNEL_BYTES)]
Payload = Annotated[bytes, msgspec.Meta(max_length=MAX_MESSAGE_BYTES)]
Number = Annotated[int, msgspec.Meta(ge=0)]
Name = tuple[Channel, Number]
Message = tuple[Channel, Payload]
Item = Name | Message


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """Whatever goes over the connection."""


class Hello(Frame, frozen=True, tag=1):
    protocol: str


class Welcome(Frame, frozen=True, tag=2):
    protocol: str


class Names(Frame, frozen=True, tag=3):
    items: list[Name]


class Messages(Frame, frozen=True, tag=4):
    accepted: Number
    items: list[Message]


class Count(Frame, frozen=True, tag=5):
    accepted: Number


class Refused(Frame, frozen=True, tag=6):
    why: str


class Goodbye(Frame, frozen=True, tag=7):
    pass


class FrameError(BrokerError):
    """Bytes that are no frame. They are counted and forgotten."""


encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes | memoryview], Frame] = msgspec.msgpack.Decoder(
    Hello | Welcome | Names | Messages | Count | Refused | Goodbye
).decode


def decode(data: bytes | memoryview) -> Frame:
    """Raises :class:`FrameError`, and nothing else, whatever the bytes."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError("bytes that are no frame") from error


def check_channel(channel: str) -> None:
    """Raises :class:`AddressError` if it cannot travel."""
    try:
        size = len(channel.encode())
    except UnicodeEncodeError as error:
        raise AddressError("the name of a channel is text that has a UTF-8 form") from error
    if size > MAX_CHANNEL_BYTES:
        raise AddressError(f"the name of a channel has at most {MAX_CHANNEL_BYTES} bytes, not {size:,}")


def check_message(channel: str, payload: bytes) -> None:
    """Raises :class:`MessageTooLargeError`, :class:`AddressError` or ``TypeError`` if this cannot travel."""
    if type(payload) is not bytes:
        raise TypeError(f"a payload is bytes, not {type(payload).__name__}")
    if len(payload) > MAX_MESSAGE_BYTES:
        raise MessageTooLargeError(len(payload), MAX_MESSAGE_BYTES)
    if not channel.isascii() or len(channel) > MAX_CHANNEL_BYTES:
        check_channel(channel)


class Waiting:
    """What waits to be told, in order: names and messages. ``cost`` is what it takes up, in bytes."""

    __slots__ = ("_items", "_names", "cost")

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._names = 0
        self.cost = 0  # 0 only if nothing waits

    def __len__(self) -> int:
        return len(self._items)

    def put_message(self, message: Message, cost: int) -> None:
        """``cost`` is :func:`cost_of` it: who has a message for many asks only once."""
        self._items.append(message)
        self.cost += cost

    def put_name(self, name: Name) -> None:
        self._items.append(name)
        self._names += 1
        self.cost += cost_of(name[0])

    def clear(self) -> None:
        self._items.clear()
        self._names = self.cost = 0

    def take(self, accepted: int) -> Names | Messages | None:
        """The next frame: neighbours of one sort, up to a page. None if nothing waits."""
        if not self.cost:
            return None
        if not self._names and self.cost <= PAGE_BYTES:  # nearly always, at a tenth of the price of what follows
            messages = Messages(accepted, cast("list[Message]", list(self._items)))
            self.clear()
            return messages
        page: list[Item] = []
        cost = 0
        sort = type(self._items[0][1])
        while self._items and cost < PAGE_BYTES and type(self._items[0][1]) is sort:
            channel, content = item = self._items.popleft()
            page.append(item)
            cost += cost_of(channel, content) if isinstance(content, bytes) else cost_of(channel)
        self.cost -= cost
        if sort is bytes:
            return Messages(accepted, cast("list[Message]", page))
        self._names -= len(page)
        return Names(cast("list[Name]", page))


def cost_of(channel: str, payload: bytes = b"") -> int:
    """What an item takes up while it waits; never less than what it takes up in a frame, where a character has four
    bytes at most.
    """
    return len(channel) * 4 + len(payload) + ITEM_COST

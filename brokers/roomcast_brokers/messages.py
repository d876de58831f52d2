"""Everything that travels between processes, as frozen values (cluster.md 2, 3, 8, 9).

An :class:`Envelope` holds operations. An :class:`Operation` holds the body of its kind as MessagePack that is not
decoded yet: a node that ignores it does not pay for it, and one that forwards it does not encode it again. On the wire
every struct is an array; what stands behind its last known element is from a newer minor version and is ignored.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import msgspec

from roomcast_brokers.addressing import Room


class Origin(msgspec.Struct, frozen=True):
    """Who sends: a node's 4-character tag, or an emitter's 8 characters; and which life of it (64 random bits)."""

    name: str
    epoch: bytes


class Kind(IntEnum):
    """What an operation does. Numbers are for ever."""

    EMIT = 1
    JOIN = 2
    LEAVE = 3
    CLOSE_ROOM = 4
    DISCONNECT = 5
    ASK = 6
    ANSWER = 7
    HELLO = 8
    BEAT = 9
    GOODBYE = 10
    MARKS_REQUEST = 11
    MARKS = 12
    PROBE = 13


# They travel alone, with gen, seq and mid 0; they are never buffered, lost or repeated, and their origin reads its own.
CONTROL: Final = frozenset({Kind.HELLO, Kind.BEAT, Kind.GOODBYE, Kind.MARKS_REQUEST, Kind.MARKS, Kind.PROBE})


class Maker(msgspec.Struct, frozen=True, array_like=True):
    """Who made an operation that somebody else forwards: a node ignores what it made itself."""

    name: str
    epoch: bytes
    mid: int


class Operation(msgspec.Struct, frozen=True, array_like=True):
    """One thing to do. ``kind`` may be one that this version does not know; ``body`` is the MessagePack of its kind."""

    kind: int
    mid: int
    made_by: Maker | None
    body: msgspec.Raw


class Envelope(msgspec.Struct, frozen=True):
    """One broker message, read: ``seq`` is the number of its first operation on its channel, from 1 on (0: control)."""

    origin: Origin
    control: bool
    signed: bool
    cluster: str
    channel: str
    gen: int
    seq: int
    sent_ms: int
    operations: tuple[Operation, ...]


# --- bodies -----------------------------------------------------------------------------------------------------------


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """The sender of the operation wants an answer: an :class:`Answer` with this id, on its node's channel."""

    id: int
    timeout_ms: int | None = None  # a duration; None: until the client goes or a node is lost


class Emit(msgspec.Struct, frozen=True, array_like=True):
    """An event for clients. ``rooms`` None and ``sids`` empty is everybody; both empty is nobody.

    ``args`` is what ``codec`` made of [event, …arguments], without the packet's head, which each node adds. The
    receivers are the union of rooms and sids, less both exceptions.
    """

    packet_type: int  # 2: EVENT; Socket.IO's number, so that other packets may come later
    namespace: str
    codec: str
    args: bytes
    attachments: tuple[bytes, ...] = ()
    rooms: tuple[Room, ...] | None = None
    sids: tuple[str, ...] = ()
    except_rooms: tuple[Room, ...] = ()
    except_sids: tuple[str, ...] = ()
    ask: Ask | None = None
    volatile: bool = False
    either: bool = False  # the one name in ``sids`` is a room if the receiver has no such sid (cluster.md 4)


class Join(msgspec.Struct, frozen=True, array_like=True):
    """Put the client ``sid`` into ``room``; answered when the room's channel is confirmed, or refused."""

    namespace: str
    sid: str
    room: Room
    ask: Ask | None = None


class Leave(msgspec.Struct, frozen=True, array_like=True):
    """Take the client ``sid`` out of ``room``."""

    namespace: str
    sid: str
    room: Room


class CloseRoom(msgspec.Struct, frozen=True, array_like=True):
    """Take everybody out of ``room``."""

    namespace: str
    room: Room


class Disconnect(msgspec.Struct, frozen=True, array_like=True):
    """Disconnect the client ``sid`` from its namespace, or with ``close`` end its connection."""

    namespace: str
    sid: str
    close: bool = False


class Question(msgspec.Struct, frozen=True, array_like=True):
    """Does the owner know this sid? Body of ASK; answered OK or GONE."""

    ask: Ask
    namespace: str
    sid: str


class Outcome(IntEnum):
    """How an ask ended. A number that is not known counts as FAILED."""

    OK = 0
    GONE = 1  # no such client, or it has gone
    TIMED_OUT = 2
    TOO_LARGE = 3  # the answer did not fit into a broker message
    REFUSED = 4  # the operation cannot be done; ``text`` says why
    FAILED = 5
    LOST = 6  # question or answer was lost on the way; with the id 0: some that have no deadline may have been


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """The end of the ask ``id`` of the process whose ``epoch`` is named: others ignore it. ``args`` as in Emit."""

    id: int
    epoch: bytes
    outcome: int
    codec: str = ""
    args: bytes = b""
    attachments: tuple[bytes, ...] = ()
    text: str = ""


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far a counter is: ``last`` its newest number, ``before`` what it was ``since_ms`` ago (0: it is younger)."""

    channel: str
    gen: int
    before: int
    last: int
    since_ms: int


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """A node has come, or comes back."""

    uptime_ms: int
    version: str = ""


class Beat(msgspec.Struct, frozen=True, array_like=True):
    """A node lives. ``number`` counts its beats from 1; ``clients`` are its sockets by namespace.

    Marks of more channels than one message takes come in pages of the same number; the first page is 0.
    """

    number: int
    uptime_ms: int
    clients: dict[str, int]
    marks: tuple[Mark, ...] = ()
    page: int = 0


class Goodbye(msgspec.Struct, frozen=True, array_like=True):
    """A node goes, and knows it."""

    reason: str = ""


class MarksRequest(msgspec.Struct, frozen=True, array_like=True):
    """Everybody who hears it tells marks of these channels, as far as they published there. An empty list: of all."""

    channels: tuple[str, ...] = ()


class Marks(msgspec.Struct, frozen=True, array_like=True):
    """Marks outside a beat: the answer to a request, and what emitters send."""

    marks: tuple[Mark, ...]


class Probe(msgspec.Struct, frozen=True, array_like=True):
    """Heard by who sent it: that channel is subscribed."""

    token: int


Body = (
    Emit
    | Join
    | Leave
    | CloseRoom
    | Disconnect
    | Question
    | Answer
    | Hello
    | Beat
    | Goodbye
    | MarksRequest
    | Marks
    | Probe
)

BODIES: Final[dict[int, type[Body]]] = {
    Kind.EMIT: Emit,
    Kind.JOIN: Join,
    Kind.LEAVE: Leave,
    Kind.CLOSE_ROOM: CloseRoom,
    Kind.DISCONNECT: Disconnect,
    Kind.ASK: Question,
    Kind.ANSWER: Answer,
    Kind.HELLO: Hello,
    Kind.BEAT: Beat,
    Kind.GOODBYE: Goodbye,
    Kind.MARKS_REQUEST: MarksRequest,
    Kind.MARKS: Marks,
    Kind.PROBE: Probe,
}

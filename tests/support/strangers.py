"""Somebody who writes envelopes to a played node by hand: other versions, other clusters, forgers, and the broken."""

from __future__ import annotations

from typing import Any

from roomcast_brokers.codec import EnvelopeCodec, encode_body, encode_operation, new_origin
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import CONTROL, Body, Emit, Kind, Maker
from tests.support.world import CLUSTER, Member

KINDS: dict[str, Kind] = {
    "Emit": Kind.EMIT,
    "Join": Kind.JOIN,
    "Leave": Kind.LEAVE,
    "CloseRoom": Kind.CLOSE_ROOM,
    "Disconnect": Kind.DISCONNECT,
    "Question": Kind.ASK,
    "Answer": Kind.ANSWER,
    "Hello": Kind.HELLO,
    "Beat": Kind.BEAT,
    "Goodbye": Kind.GOODBYE,
    "MarksRequest": Kind.MARKS_REQUEST,
    "Marks": Kind.MARKS,
    "Probe": Kind.PROBE,
}


def kind_of(body: Body) -> Kind:
    return KINDS[type(body).__name__]


def emit(args: bytes = b'["hello"]', *, namespace: str = "/", codec: str = "json", **fields: Any) -> Emit:
    """An event for everybody, unless ``fields`` say otherwise."""
    return Emit(2, namespace, codec, args, **fields)


class Stranger:
    """Writes to ``member`` as a process of that name; numbers its messages per channel as a node does."""

    def __init__(
        self, member: Member, name: str = "xxxx", *, cluster: str = CLUSTER, keys: tuple[str, ...] | None = None
    ) -> None:
        self.member = member
        self.origin = new_origin(name)
        self.codec = EnvelopeCodec(self.origin, cluster, None if keys is None else KeyRing(keys))
        self._next: dict[str, int] = {}
        self._mid = 0

    def writes(self, channel: str, *bodies: Body, made_by: Maker | None = None) -> bytes:
        """The bytes of one message."""
        kind = kind_of(bodies[0])
        if kind in CONTROL:
            return self.codec.control(channel, kind, encode_body(bodies[0]), 0)
        return self.raw(channel, *[(kind_of(body), encode_body(body)) for body in bodies], made_by=made_by)

    def raw(self, channel: str, *operations: tuple[int, bytes], made_by: Maker | None = None) -> bytes:
        """The same out of kinds and bodies that may be anything."""
        seq = self._next.get(channel, 1)
        self._next[channel] = seq + len(operations)
        encoded = []
        for kind, body in operations:
            self._mid += 1
            encoded.append(encode_operation(kind, self._mid, body, made_by))
        return self.codec.encode(channel, 1, seq, 0, encoded)

    def says(self, channel: str, *bodies: Body, made_by: Maker | None = None) -> None:
        """One message arrives, and what comes of it is done."""
        self.brings(channel, self.writes(channel, *bodies, made_by=made_by))

    def brings(self, channel: str, payload: bytes) -> None:
        """These bytes arrive."""
        self.member.delivered(channel, payload)
        self.member.flush()

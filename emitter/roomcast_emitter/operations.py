"""From what an application asks for to the operations that travel. Nothing is sent here.

An emitter has heard of no node, so what is for a name that could be a client's goes out twice: to the client's node
for the client alone, and to the room of that name for its members alone (cluster.md 4). What is done to a client goes
to its node; a name that cannot be a sid is nobody's, and what is done to it is done to nobody.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from roomcast_brokers.addressing import Room, check_room
from roomcast_brokers.arguments import JsonDumps, JsonWriter, arguments, outgoing_name
from roomcast_brokers.channels import Channels, is_sid_form, tag_of
from roomcast_brokers.codec import encode_body
from roomcast_brokers.messages import Body, CloseRoom, Disconnect, Emit, Join, Kind, Leave
from roomcast_brokers.routing import destinations
from roomcast_emitter.selection import Selection, check_namespace, check_sid

EVENT_PACKET: Final = 2  # Socket.IO's number of the packet type


class Order(msgspec.Struct, frozen=True):
    """One operation to be published on one channel."""

    channel: str
    kind: int
    body: bytes


class Operations:
    """Makes orders for one cluster. ``json`` is a module that encodes in place of msgspec.

    All methods raise for what cannot travel: whatever is wrong with an event is told at the call, and before anything
    of it is sent.
    """

    def __init__(self, channels: Channels, json: JsonDumps | None = None) -> None:
        self._channels = channels
        self._writer = JsonWriter(json)

    def emit(self, event: str, data: Any, chosen: Selection, volatile: bool = False) -> tuple[Order, ...]:
        """An event for clients; python-api.md 1.6 says what ``data`` means."""
        args, attachments = self._writer.encode_args([outgoing_name(event), *arguments(data)])
        return tuple(
            Order(
                copy.channel,
                Kind.EMIT,
                encode_body(
                    Emit(
                        packet_type=EVENT_PACKET,
                        namespace=chosen.namespace,
                        codec="json",
                        args=args,
                        attachments=tuple(attachments),
                        rooms=copy.rooms,
                        sids=copy.sids,
                        except_rooms=chosen.except_rooms,
                        except_sids=chosen.except_sids,
                        volatile=volatile,
                        either=copy.either,
                    )
                ),
            )
            for copy in destinations(self._channels, chosen.namespace, chosen.to)
        )

    def enter_room(self, sid: str, room: Room, namespace: str | None) -> tuple[Order, ...]:
        """Put a client into a room."""
        return self._to_owner(sid, Kind.JOIN, Join(check_namespace(namespace), check_sid(sid), check_room(room)))

    def leave_room(self, sid: str, room: Room, namespace: str | None) -> tuple[Order, ...]:
        """Take a client out of a room."""
        return self._to_owner(sid, Kind.LEAVE, Leave(check_namespace(namespace), check_sid(sid), check_room(room)))

    def close_room(self, room: Room, namespace: str | None) -> tuple[Order, ...]:
        """Take everybody out of a room."""
        where = check_namespace(namespace)
        body = encode_body(CloseRoom(where, check_room(room)))
        return (Order(self._channels.room(where, room), Kind.CLOSE_ROOM, body),)

    def disconnect(self, sid: str, namespace: str | None, close: bool) -> tuple[Order, ...]:
        """Disconnect a client from a namespace, or with ``close`` end its connection."""
        return self._to_owner(sid, Kind.DISCONNECT, Disconnect(check_namespace(namespace), check_sid(sid), close))

    def _to_owner(self, sid: str, kind: Kind, body: Body) -> tuple[Order, ...]:
        if not is_sid_form(sid):
            return ()
        return (Order(self._channels.node(tag_of(sid)), kind, encode_body(body)),)

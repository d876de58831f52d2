"""On which channels an operation goes out, and whom it means there (cluster.md 4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from enum import Enum

import msgspec

from roomcast_brokers.addressing import Room, check_room
from roomcast_brokers.channels import Channels, is_sid_form, tag_of


class Owner(Enum):
    """What a process knows about a name that has the form of a sid."""

    HERE = "here"  # its own client: nothing is published
    ABSENT = "absent"  # its own tag, but no such client: it can only be a room
    PEER = "peer"  # the tag of a live node, which knows
    UNKNOWN = "unknown"  # anything else: a room, or a client of a node not heard of yet


class Destination(msgspec.Struct, frozen=True):
    """One copy of an operation: where it goes, and the fields of :class:`~roomcast_brokers.messages.Emit` in it.

    ``rooms`` None (with no ``sids``) is everybody.
    """

    channel: str
    rooms: tuple[Room, ...] | None = None
    sids: tuple[str, ...] = ()
    either: bool = False


def destinations(
    channels: Channels,
    namespace: str,
    to: Room | Collection[Room] | None,
    owner: Callable[[str], Owner] | None = None,
) -> tuple[Destination, ...]:
    """Where something for ``to`` in ``namespace`` is published, in this order; nowhere if it concerns nobody elsewhere.

    ``to`` None is everybody; a collection is its union, and with one name it is that name. ``owner`` tells what this
    process knows about a sid; without it (emitters) nothing is known. Of what goes out twice nobody gets two copies: a
    sid cannot be joined as a room. Raises :class:`~roomcast_brokers.errors.RoomTypeError` or
    :class:`~roomcast_brokers.errors.AddressError` for names that cannot travel.
    """
    if to is None:
        return (Destination(channels.everyone),)
    if isinstance(to, bytes) or not isinstance(to, Iterable):
        check_room(to)  # refuses them, if they are no int: bytes are no list of numbered rooms either
    if isinstance(to, str | int):
        return _one(channels, namespace, to, owner)
    names = tuple(dict.fromkeys(check_room(name) for name in to))
    if len(names) > 1:
        return (Destination(channels.everyone, names, tuple(name for name in names if is_sid_form(name))),)
    return _one(channels, namespace, names[0], owner) if names else ()


def _one(
    channels: Channels, namespace: str, name: Room, owner: Callable[[str], Owner] | None
) -> tuple[Destination, ...]:
    if not is_sid_form(name):
        return (Destination(channels.room(namespace, name), (name,)),)
    known = Owner.UNKNOWN if owner is None else owner(name)
    if known is Owner.HERE:
        return ()
    room = Destination(channels.room(namespace, name), (name,))
    if known is Owner.ABSENT:
        return (room,)
    node = channels.node(tag_of(name))
    if known is Owner.PEER:
        return (Destination(node, (), (name,), either=True),)
    return (Destination(node, (), (name,)), room)

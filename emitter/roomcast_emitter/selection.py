"""Whom something is for, as an application says it: ``to=`` and ``skip_sid=``, or a chain of calls.

Only ``None`` is everybody. An empty list is nobody, and so is ``""`` unless somebody has entered a room of that name:
a list of receivers that happens to be empty never becomes a broadcast.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from roomcast_brokers.addressing import Room, check_room
from roomcast_brokers.channels import is_sid_form

Names = Room | Collection[Room]

# Collections that are no list of names: a bytes object would be one of numbers.
_NO_LISTS = (bytes, bytearray, memoryview, Mapping)

Chain = TypeVar("Chain")


class Selection(msgspec.Struct, frozen=True):
    """Receivers in one namespace: everybody (``to`` None) or the union of these rooms and sids, less the exceptions."""

    namespace: str = "/"
    to: tuple[Room, ...] | None = None
    except_rooms: tuple[Room, ...] = ()
    except_sids: tuple[str, ...] = ()


def selection(to: Names | None, room: Names | None, skip_sid: Any, namespace: str | None) -> Selection:
    """What the arguments of ``emit`` mean; ``room`` is another name for ``to``.

    Raises :class:`~roomcast_brokers.errors.RoomTypeError`, :class:`~roomcast_brokers.errors.AddressError`, and
    ``TypeError`` for what is no sid or no namespace.
    """
    wanted = room if to is None else to
    receivers = None if wanted is None else names(wanted)
    skipped = () if skip_sid is None else names(skip_sid)
    return Selection(check_namespace(namespace), receivers, (), tuple(map(check_sid, skipped)))


def names(given: Any) -> tuple[Room, ...]:
    """One name, or a collection of them, as a tuple. Raises as :func:`~roomcast_brokers.addressing.check_room`."""
    several = isinstance(given, Collection) and not isinstance(given, (str, *_NO_LISTS))
    return tuple(dict.fromkeys(check_room(name) for name in (given if several else (given,))))


def check_sid(sid: Any) -> str:
    """Return ``sid`` if it is a ``str``, else raise ``TypeError``."""
    if not isinstance(sid, str):
        raise TypeError(f"a sid is a str, not {type(sid).__name__}")
    return sid


def check_namespace(namespace: Any) -> str:
    """The namespace that is meant, ``/`` by default; ``TypeError`` for what cannot be one."""
    if namespace is None:
        return "/"
    if not isinstance(namespace, str):
        raise TypeError(f"a namespace is a str, not {type(namespace).__name__}")
    return namespace or "/"


class Selecting(ABC, Generic[Chain]):
    """``.to(…).except_(…).in_namespace(…)``, in any order: each call returns a new chain and changes none."""

    __slots__ = ()

    _selection = Selection()

    @abstractmethod
    def _chain(self, selection: Selection) -> Chain:
        """The chain that emits to ``selection``."""

    def to(self, *rooms: Names) -> Chain:
        """Also to these rooms and sids; a collection stands for its names. ``.to()`` alone is to nobody."""
        added = [name for each in rooms for name in names(each)]
        chosen = self._selection
        union = tuple(dict.fromkeys((*(chosen.to or ()), *added)))
        return self._chain(Selection(chosen.namespace, union, chosen.except_rooms, chosen.except_sids))

    def except_(self, *rooms: Names) -> Chain:
        """But not to these sids, nor to the members of these rooms."""
        added = [name for each in rooms for name in names(each)]
        chosen = self._selection
        # What has the form of a sid may be a client or, rarely, a room: nodes look for both.
        sids = [name for name in added if isinstance(name, str) and is_sid_form(name)]
        without_rooms = tuple(dict.fromkeys((*chosen.except_rooms, *added)))
        without_sids = tuple(dict.fromkeys((*chosen.except_sids, *sids)))
        return self._chain(Selection(chosen.namespace, chosen.to, without_rooms, without_sids))

    def in_namespace(self, namespace: str) -> Chain:
        """In that namespace, instead of ``/``."""
        chosen = self._selection
        return self._chain(Selection(check_namespace(namespace), chosen.to, chosen.except_rooms, chosen.except_sids))

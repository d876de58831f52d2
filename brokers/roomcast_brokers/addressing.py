"""To whom something goes: a namespace, and in it everyone, or a union of rooms and sids, minus exceptions.

An empty selection reaches **nobody**. Only ``everyone=True`` broadcasts, and only :meth:`Target.all` and an explicit
``to=None`` set it, so that a list of recipients that happens to be empty never turns into a broadcast.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from roomcast_brokers.errors import AddressError, RoomTypeError

Room = str | int

# What MessagePack holds.
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1

# A room's name travels in every message that goes to it; 1 KiB is far beyond what people use and harmless for every
# broker.
MAX_ROOM_BYTES = 1_024


def check_room(room: object) -> Room:
    """Return ``room`` if it can travel: ``str`` of at most 1 KiB UTF-8, or ``int`` of at most 64 bits.

    ``1`` and ``"1"`` are two rooms. ``bool`` is refused: as a key it would be the same room as 0 or 1 on one node and
    not on the next. Raises :class:`RoomTypeError` or :class:`AddressError`.
    """
    if type(room) is int:
        if not _SMALLEST <= room <= _LARGEST:
            raise AddressError("a room that is an int has at most 64 bits on other nodes")
        return room
    if not isinstance(room, str):
        raise RoomTypeError(f"a room that other nodes shall know is a str or an int, not {type(room).__name__}")
    # "surrogatepass": a lone surrogate is refused where the name is put on the wire, with a better message.
    size = len(room.encode("utf-8", "surrogatepass"))
    if size > MAX_ROOM_BYTES:
        raise AddressError(f"the name of a room has at most {MAX_ROOM_BYTES:,} bytes, not {size:,}")
    return room


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Recipients within one namespace. Equal targets compare equal; the order of rooms and sids is kept as given."""

    namespace: str = "/"
    everyone: bool = False
    rooms: tuple[Room, ...] = ()
    sids: tuple[str, ...] = ()
    except_rooms: tuple[Room, ...] = ()
    except_sids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.everyone and (self.rooms or self.sids):
            raise AddressError("a target is either everyone or a selection, not both")

    @classmethod
    def all(cls, namespace: str = "/", *, except_rooms: Iterable[Room] = (), except_sids: Iterable[str] = ()) -> Target:
        """Everyone in ``namespace`` but the exceptions."""
        return cls(
            namespace=namespace, everyone=True, except_rooms=tuple(except_rooms), except_sids=tuple(except_sids)
        )

    @classmethod
    def parse(
        cls,
        to: Room | Iterable[Room] | None,
        namespace: str = "/",
        *,
        skip_sid: str | Iterable[str] | None = None,
    ) -> Target:
        """The target that ``emit(to=…, skip_sid=…)`` means: None is everyone, one name is that room, several are
        their union.

        A sid is the room of that name, which always exists; whoever knows the cluster's tags may tell them apart later.
        An empty list is nobody. ``""`` is a room like any other.
        """
        skipped = _names(skip_sid)
        if to is None:
            return cls.all(namespace, except_sids=skipped)
        rooms = (to,) if isinstance(to, str | int) else tuple(dict.fromkeys(to))
        return cls(namespace=namespace, rooms=rooms, except_sids=skipped)

    @property
    def nobody(self) -> bool:
        """Whether this cannot reach anyone; such a target is not worth sending."""
        return not (self.everyone or self.rooms or self.sids)


def _names(names: str | Iterable[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))

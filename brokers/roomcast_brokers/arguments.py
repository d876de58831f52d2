"""What an application emits, as the array of arguments that travels: its name, what ``data`` means, and JSON.  [hot]

A node does this for its own clients, and an emitter for those of others: an event that a worker emits looks to a client
exactly as one that a server emits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from roomcast_brokers.errors import UnencodableError
from roomcast_brokers.plain import JsonArgs, Rebuilder

#: Events that the library itself raises: a client that sends one would run the application's own handler with values of
#: its choice, so these names break the packet, as they do in the reference.
RESERVED_EVENTS: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)

# Module level names save a look-up of an attribute on the hot path.
_convert = msgspec.convert
_encode_json = msgspec.json.Encoder().encode


def outgoing_name(event: Any) -> str:
    """Check the name of an event that the application emits: clients close the connection on reserved ones."""
    if not isinstance(event, str):
        raise TypeError(f"an event's name is a str, not {type(event).__name__}")
    if event in RESERVED_EVENTS:
        raise ValueError(f"{event!r} is a reserved event name; clients refuse it")
    return event


def arguments(data: Any) -> list[Any]:
    """The arguments that a piece of data means: None none, a tuple its elements, anything else one (python-api.md
    1.6).
    """
    if data is None:
        return []
    return list(data) if isinstance(data, tuple) else [data]


class JsonDumps(Protocol):
    """The half of a JSON module that writes."""

    def dumps(self, value: Any, /, *, separators: tuple[str, str]) -> str:
        """``value``, which consists of JSON's own types and of objects that only this module may know, as text."""


class JsonWriter:
    """Writes arguments as JSON with placeholders, and takes out the binary data. ``json`` replaces msgspec for it."""

    __slots__ = ("_dumps",)

    #: What is raised for data without a form on the wire; a subclass has it in its own tree.
    unencodable: type[UnencodableError] = UnencodableError

    def __init__(self, json: JsonDumps | None = None) -> None:
        self._dumps = None if json is None else json.dumps

    def encode_args(self, args: Sequence[Any]) -> tuple[bytes, list[bytes]]:
        """The JSON array of ``args`` and the attachments that its placeholders number. Raises UnencodableError."""
        if self._dumps is None:
            try:
                _convert((args,), JsonArgs)
                return _encode_json(args), []
            except (ValueError, TypeError, RecursionError):  # binary, deep, lone surrogates, unusual: not plain
                pass
        rebuilder = Rebuilder() if self._dumps is None else _Leaving()
        try:
            return self._dump(rebuilder.args(args)), rebuilder.attachments
        except UnencodableError as error:
            if isinstance(error, self.unencodable):
                raise
            raise self.unencodable(str(error)) from (error.__cause__ or error)

    def _dump(self, plain: list[Any]) -> bytes:
        try:
            if self._dumps is None:
                return _encode_json(plain)
            return self._dumps(plain, separators=(",", ":")).encode()
        except Exception as error:  # whatever the application's module raises; msgspec: integers too long to be written
            raise UnencodableError(f"the data cannot be written as JSON: {error}") from error


class _Leaving(Rebuilder):
    """Leaves objects of foreign types to the application's module."""

    __slots__ = ()

    def foreign(self, value: Any, depth: int) -> Any:
        return value

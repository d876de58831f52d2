"""Data from the application, reduced to what the wire has: None, bool, int, float, str, list and dict with keys of str.

Nodes and emitters encode what applications emit, and by the same rules. Almost all data is plain already. Codecs see
that in C, by asking msgspec to convert the data to a type such as :data:`JsonArgs`, which allows nothing else (0.18 us
for a small dict; the same walk in Python costs as much for that and twice as much for 60 kB). Only what is not plain is
rebuilt by a :class:`Rebuilder`, in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from math import inf, isfinite
from types import GenericAlias
from typing import Any

import msgspec

from roomcast_brokers.errors import UnencodableError

#: Nesting that the two types below see through. msgspec makes every level of the type twice (as list and as dict), so
#: eight levels are 512 nodes and milliseconds at import; deeper data takes the slower way.
PLAIN_DEPTH = 8

#: Nesting beyond which data is not sent: far above what anybody nests, far below what the interpreter's stack bears.
MAX_DEPTH = 128

_CONSTANTS: dict[object, str] = {
    None: "null", True: "true", False: "false", inf: "Infinity", -inf: "-Infinity",
}  # fmt: skip  # as keys, in the standard library's words; importing that for them would cost an emitter 3 ms
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
BINARY_TYPES = (bytes, bytearray, memoryview)


@cache
def nested(scalar: Any, key: Any, depth: int) -> Any:
    """The type of a ``scalar``, or of containers with at most ``depth`` levels of it, dict keys being ``key``."""
    if depth <= 0:
        return scalar
    inner = nested(scalar, key, depth - 1)
    return scalar | array_of(inner) | GenericAlias(dict, (key, inner))


def array_of(item: Any) -> Any:
    """``list[item]`` for a type that is only known at run time."""
    return GenericAlias(list, (item,))


SCALAR = int | float | str | bool | None


def plain_args(name: str, key: Any) -> type[msgspec.Struct]:
    """A struct whose one field allows a list of plain data whose dict keys are ``key``, and nothing else.

    A field of a struct, for msgspec keeps what it knows about a struct but would study a bare list type at every call.
    """
    return msgspec.defstruct(name, [("args", array_of(nested(SCALAR, key, PLAIN_DEPTH)))], array_like=True)


JsonArgs = plain_args("JsonArgs", int | str)


def well_formed(text: str) -> str:
    """``text`` with U+FFFD for each lone surrogate, which UTF-8 has no form for."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.translate(_SURROGATES)
    return text


class Rebuilder:
    """Makes plain data of what is not; one for each packet, since it collects the attachments.

    Tuples, sets and subclasses become lists, dicts and scalars; what is not finite becomes None; lone surrogates become
    U+FFFD; keys are written as JavaScript would. Everything else that msgspec can encode (dates, UUIDs, dataclasses,
    structs, enums) is turned into plain data by it.
    """

    __slots__ = ("attachments",)

    def __init__(self) -> None:
        self.attachments: list[bytes] = []

    def args(self, args: Sequence[Any]) -> list[Any]:
        """The plain form of a whole packet's data. Raises UnencodableError."""
        try:
            return [self.value(arg, MAX_DEPTH) for arg in args]
        except RecursionError as error:
            raise UnencodableError("the data is nested too deeply, or contains itself") from error

    def value(self, value: Any, depth: int) -> Any:
        """The plain form of ``value``, which may hold ``depth`` more levels. Raises UnencodableError."""
        if value is None or value is True or value is False:
            return value
        if not depth:
            raise UnencodableError(f"the data is nested more than {MAX_DEPTH} levels deep, or contains itself")
        for kind, make in _MAKERS:
            if isinstance(value, kind):
                return make(self, value, depth)
        return self.foreign(value, depth)

    def binary(self, data: bytes) -> Any:
        """What stands in the data for ``data``: here a placeholder (Socket.IO v5, "Binary")."""
        self.attachments.append(data)
        return {"_placeholder": True, "num": len(self.attachments) - 1}

    def real(self, number: float) -> float | None:
        """What stands in the data for a float: here nothing for infinity and NaN, as JSON.stringify does."""
        return number if isfinite(number) else None

    def foreign(self, value: Any, depth: int) -> Any:
        """The plain form of an object of no plain type. Raises UnencodableError."""
        try:
            built = msgspec.to_builtins(value, builtin_types=self.kept, enc_hook=_base)
        except (TypeError, ValueError) as error:
            raise UnencodableError(f"{type(value).__name__} has no form on the wire: {error}") from error
        return self.value(built, depth - 1)

    #: What msgspec leaves as it is in foreign objects, for :meth:`value` to see.
    kept: tuple[type, ...] = BINARY_TYPES


def _key(key: Any) -> str:
    """The string that JSON has for a key; the standard library's rules, and msgspec's for dates, UUIDs and the like."""
    if isinstance(key, str):
        return well_formed(str.__str__(key))
    if key is None or isinstance(key, bool):
        return _CONSTANTS[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return float.__repr__(key) if isfinite(key) else _CONSTANTS.get(key, "NaN")
    if isinstance(key, BINARY_TYPES):
        raise UnencodableError("binary data cannot be a key")
    try:
        return well_formed(str(next(iter(msgspec.to_builtins({key: None}, str_keys=True)))))
    except TypeError as error:
        raise UnencodableError(f"{type(key).__name__} cannot be a key: {error}") from error


def _base(value: Any) -> Any:
    """msgspec asks about an object inside a foreign one: subclasses of scalars are the scalar, all else is unknown."""
    for kind, base in _BASES:
        if isinstance(value, kind):
            return base(value)
    raise TypeError(f"objects of type {type(value).__name__} cannot be encoded")


_BASES: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (BINARY_TYPES, bytes),
    (int, int),
    (float, float),
)

Maker = Callable[[Rebuilder, Any, int], Any]
_MAKERS: tuple[tuple[type | tuple[type, ...], Maker], ...] = (
    (str, lambda rebuilder, value, depth: well_formed(str.__str__(value))),
    (dict, lambda rebuilder, value, depth: {_key(k): rebuilder.value(v, depth - 1) for k, v in value.items()}),
    ((list, tuple), lambda rebuilder, value, depth: [rebuilder.value(item, depth - 1) for item in value]),
    (float, lambda rebuilder, value, depth: rebuilder.real(float(value))),
    (int, lambda rebuilder, value, depth: int(value)),
    (BINARY_TYPES, lambda rebuilder, value, depth: rebuilder.binary(bytes(value))),
)

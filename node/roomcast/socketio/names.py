"""What may be the name of an event or of a namespace.

Names come from strangers and end up in log lines, metrics, broker channels and other clients' packets; so control
characters, lone surrogates and more than ``max_bytes`` bytes of UTF-8 are refused.
"""

from __future__ import annotations

import re

from roomcast.errors import PacketError
from roomcast_brokers.arguments import RESERVED_EVENTS

MAX_NAME_BYTES = 256

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def check_event_name(name: object, max_bytes: int = MAX_NAME_BYTES) -> None:
    """Raise PacketError (``name``) unless ``name`` is a ``str`` that a client may use for an event."""
    # Two calls in C decide for the names that occur (0.1 us): printable ASCII has no control characters.
    if (
        type(name) is str
        and name.isascii()
        and name.isprintable()
        and len(name) <= max_bytes
        and name not in RESERVED_EVENTS
    ):
        return
    fault = event_name_fault(name, max_bytes)
    if fault is not None:
        raise PacketError("name", fault)


def check_namespace(name: object, max_bytes: int = MAX_NAME_BYTES) -> None:
    """Raise PacketError (``namespace``) unless ``name`` is a ``str`` that may name a namespace."""
    fault = namespace_fault(name, max_bytes)
    if fault is not None:
        raise PacketError("namespace", fault)


def event_name_fault(name: object, max_bytes: int = MAX_NAME_BYTES) -> str | None:
    """Why ``name`` cannot be the name of an event, in words for whoever chose it; ``None`` when it can."""
    if not isinstance(name, str):
        return f"an event name must be a string, not {type(name).__name__}"
    if name in RESERVED_EVENTS:
        return f"the event name {name!r} is reserved"
    return _text_fault("an event name", name, max_bytes)


def namespace_fault(name: object, max_bytes: int = MAX_NAME_BYTES) -> str | None:
    """Why ``name`` cannot name a namespace, in words for whoever chose it; ``None`` when it can."""
    if not isinstance(name, str):
        return f"a namespace must be a string, not {type(name).__name__}"
    if not name.startswith("/"):
        return "a namespace must begin with /"
    if "," in name:
        return "a namespace cannot contain a comma: it ends the name on the wire"
    return _text_fault("a namespace", name, max_bytes)


def character_fault(what: str, name: str) -> str | None:
    """Why the characters of ``name`` cannot travel, whatever its length; ``None`` when they can.

    ``what`` begins the answer.
    """
    if name.isascii() and name.isprintable():
        return None
    if _CONTROL.search(name):
        return f"{what} must not contain control characters"
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"{what} must not contain lone surrogates"
    return None


def _text_fault(what: str, name: str, max_bytes: int) -> str | None:
    fault = character_fault(what, name)
    if fault is None and len(name.encode()) > max_bytes:
        fault = f"{what} must not be longer than {max_bytes} bytes"
    return fault

"""The states of a session and of the WebSocket that wants to take it over, as tables (wire.md 1.9, 1.10).

What is not in a table cannot happen: ``SESSION[state, event]`` raises KeyError, which is a defect of the node, never of
a client. ``docs/states.md`` is drawn from these tables by ``tools/draw_states.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# A session
OPENING: Final = "opening"  # admitted; its application has not answered
OPEN: Final = "open"
UPGRADING: Final = "upgrading"  # open, carried by polling, with a candidate
CLOSING: Final = "closing"  # closed by the server; a polling client learns of it at its next GET
CLOSING_UPGRADING: Final = "closing while upgrading"  # the same, or it learns of it from the candidate, once adopted
CLOSED: Final = "closed"

# What happens to it
OPENED: Final = "opened"
CANDIDATE: Final = "candidate accepted"
CANDIDATE_LOST: Final = "candidate dropped"
ADOPTED: Final = "candidate adopted"
CLOSE_LATER: Final = "closed by the server, no GET held"
CLOSE_NOW: Final = "closed or lost"
CLOSE_READ: Final = "close packet read, or nobody came for it"

Table = Mapping[tuple[str, str], str]

SESSION: Final[Table] = {
    (OPENING, OPENED): OPEN,
    (OPENING, CLOSE_NOW): CLOSED,
    (OPEN, CANDIDATE): UPGRADING,
    (OPEN, CLOSE_LATER): CLOSING,
    (OPEN, CLOSE_NOW): CLOSED,
    (UPGRADING, CANDIDATE_LOST): OPEN,
    (UPGRADING, ADOPTED): OPEN,
    (UPGRADING, CLOSE_LATER): CLOSING_UPGRADING,
    (UPGRADING, CLOSE_NOW): CLOSED,
    (CLOSING_UPGRADING, CANDIDATE_LOST): CLOSING,
    (CLOSING_UPGRADING, ADOPTED): CLOSED,
    (CLOSING, CLOSE_READ): CLOSED,
}

# The candidate: a WebSocket that came with the sid of a polling session
ARRIVED: Final = "arrived"
PROBED: Final = "probed"
CARRYING: Final = "carrying the session"
DROPPED: Final = "dropped"

# What happens to it
PROBE: Final = "2probe"
UPGRADE: Final = "5"
OTHER: Final = "any other packet"
LOST: Final = "connection lost"
LATE: Final = "upgrade timeout"
SESSION_ENDED: Final = "session ended"

CANDIDATES: Final[Table] = {
    (ARRIVED, PROBE): PROBED,
    (ARRIVED, UPGRADE): CARRYING,  # Node's server takes it without a probe, so clients may rely on it
    (PROBED, PROBE): PROBED,
    (PROBED, UPGRADE): CARRYING,
    **{(state, event): DROPPED for state in (ARRIVED, PROBED) for event in (OTHER, LOST, LATE, SESSION_ENDED)},
}

# Which packet on a candidate is which event; every other text, and all binary, is OTHER.
CANDIDATE_PACKETS: Final[Mapping[bytes, str]] = {b"2probe": PROBE, b"5": UPGRADE}

# The two machines by the names that the documentation gives them, each with the state it begins in.
MACHINES: Final[Mapping[str, tuple[str, Table]]] = {
    "A session": (OPENING, SESSION),
    "The candidate of an upgrade": (ARRIVED, CANDIDATES),
}

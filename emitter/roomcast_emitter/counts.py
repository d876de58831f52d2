"""What has become of what was emitted, in numbers."""

from __future__ import annotations

import msgspec


class Counts(msgspec.Struct, frozen=True):
    """Operations of one process since its first emit: an event for one sid is two, marks are none."""

    delivered: int
    dropped: int
    unconfirmed: int
    waiting: int
    waiting_bytes: int

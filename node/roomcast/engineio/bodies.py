"""The bodies of POSTs: which are not taken, and what is answered to them (limits.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from roomcast.engineio.request import Request


class BodyError(Exception):
    """A body that cannot be taken. ``status`` is the answer, ``label`` what it is counted as.

    One that was cut off counts as one that did not come in time: nobody may be left to read the answer.
    """

    def __init__(self, status: int, label: str) -> None:
        super().__init__(label)
        self.status = status
        self.label = label


TOO_LARGE = (413, "body_too_large")
TOO_SLOW = (408, "body_too_slow")


def check_head(request: Request, limit: int) -> None:
    """Raise BodyError for what the head tells already: that the body is encoded, or larger than ``limit`` (bytes)."""
    if request.header(b"content-encoding") not in (None, b"", b"identity"):
        raise BodyError(415, "content_encoding")
    announced = request.header(b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise BodyError(*TOO_LARGE)

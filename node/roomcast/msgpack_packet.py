"""``MsgPackPacket``: what applications pass as ``serializer=`` for MessagePack, under the path that they import it
from.
"""

from __future__ import annotations

from typing import ClassVar


class MsgPackPacket:
    """Names the MessagePack serializer: ``AsyncServer(serializer=MsgPackPacket)`` is ``serializer="msgpack"``."""

    serializer: ClassVar[str] = "msgpack"


__all__ = ["MsgPackPacket"]

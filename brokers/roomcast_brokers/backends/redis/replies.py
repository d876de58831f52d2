"""What servers answer: to the greeting of a connection, to messages published, and why it can be no.

Everything is spoken in RESP2, which every server understands: nothing here needs more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

import hiredis

from roomcast_brokers.errors import BrokerUnreachableError

Command = tuple[bytes | str, ...]

# hiredis's annotation knows commands of one word only.
pack = cast("Callable[[Command], bytes]", hiredis.pack_command)

# What of a server's refusal is shown: its text is a line, but nothing says so.
MAX_REFUSAL: Final = 200

# A server answers the commands of :func:`greeting` with this if they are not allowed to this user or unknown to it.
# Both are dispensable: the name is for people, and a server without roles is no replica.
_DISPENSABLE: Final = ("NOPERM", "ERR unknown", "ERR Unknown")


def refusal(error: Exception) -> BrokerUnreachableError:
    """What is raised or told when the server answers with an error."""
    return BrokerUnreachableError(f"the server refuses: {str(error)[:MAX_REFUSAL]}")


def greeting(credentials: Sequence[str], client_name: str, *, master: bool) -> list[Command]:
    """What is sent first on a connection. ``credentials`` are none, a password, or a user and a password; ``master``
    asks for the role.
    """
    commands: list[Command] = [("AUTH", *credentials)] if credentials else []
    commands.append(("CLIENT", "SETNAME", client_name))
    if master:
        commands.append(("ROLE",))
    return commands


def check_greeting(commands: Sequence[Command], replies: Sequence[object]) -> None:
    """Raise :class:`BrokerUnreachableError` if a server that answers :func:`greeting` like this will not do."""
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, hiredis.ReplyError):
            if command[0] == "AUTH" or not str(reply).startswith(_DISPENSABLE):
                raise refusal(reply) from reply
        elif command[0] == "ROLE":
            check_role(reply)


def check_role(reply: object) -> None:
    """Raise :class:`BrokerUnreachableError` unless the answer to ROLE is a master's."""
    if not isinstance(reply, list) or reply[:1] != [b"master"]:
        raise BrokerUnreachableError("the server is no master any more; the Sentinels will name another")


class PublishReplies:
    """Counts the answers to PUBLISH, each of which is a number, by the bytes in which they come."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader = hiredis.Reader()

    def feed(self, data: bytes) -> tuple[int, BrokerUnreachableError | None]:
        """How many messages were accepted, in order, and what came instead of the next answer, if it was an error."""
        self._reader.feed(data)
        gets = self._reader.gets
        count = 0
        try:
            while (reply := gets()) is not False:
                if type(reply) is not int:
                    return count, _not_a_number(reply)
                count += 1
        except hiredis.ProtocolError:
            return count, BrokerUnreachableError("what answers is no Redis server")
        return count, None


def _not_a_number(reply: object) -> BrokerUnreachableError:
    if isinstance(reply, hiredis.ReplyError):
        return refusal(reply)
    return BrokerUnreachableError("the server answers a published message with something that is no number")

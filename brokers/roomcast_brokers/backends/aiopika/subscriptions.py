"""Which channels are wanted, and what that means for the bindings of one queue.

The server answers in the order in which it was asked. So a confirmation counts if it belongs to the latest wish; each
wish has a token, because generations may repeat.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

LONGEST_KEY: Final = 255  # bytes of an AMQP short string


def routing_key(channel: str) -> bytes:
    """What stands for ``channel`` in bindings and messages: its name, or a digest of one that is too long for AMQP."""
    key = channel.encode()
    return key if len(key) <= LONGEST_KEY else b"#" + blake2b(key).hexdigest().encode()


class Subscriptions:
    """Wishes outlive connections: :meth:`begin` is called for each new one, and all of them are sent again.

    Wishes of one turn of the loop are collected, and per channel the last one is sent. ``names`` has what may be told,
    by routing key: what was confirmed and is still wanted. It is the same dict for ever, for the loop that delivers.
    """

    __slots__ = ("_bound", "_changed", "_token", "_tokens", "awaited", "names", "wanted")

    def __init__(self) -> None:
        self.names: dict[bytes, str] = {}
        self.wanted: dict[str, int] = {}
        """channel → generation"""
        self.awaited: set[str] = set()
        """What is wanted and was not confirmed since :meth:`begin`."""
        self._token = 0
        self._tokens: dict[str, int] = {}
        self._changed: dict[str, None] = {}
        self._bound: set[str] = set()  # what the server may have bound

    @property
    def changed(self) -> bool:
        """Whether there is something to :meth:`take`."""
        return bool(self._changed)

    def want(self, channel: str, generation: int) -> None:
        self.wanted[channel] = generation
        self._token += 1
        self._tokens[channel] = self._token
        if routing_key(channel) not in self.names:
            self.awaited.add(channel)
        self._changed[channel] = None

    def drop(self, channel: str) -> bool:
        """Whether it was wanted."""
        if self.wanted.pop(channel, None) is None:
            return False
        del self._tokens[channel]
        self.names.pop(routing_key(channel), None)
        self.awaited.discard(channel)
        self._changed[channel] = None
        return True

    def begin(self, *, bound: bool) -> None:
        """Nothing is confirmed any more. ``bound``: the queue is the same, with the bindings that it had."""
        self.names.clear()
        if not bound:
            self._bound.clear()
        self.awaited = set(self.wanted)
        self._changed = dict.fromkeys([*self._bound, *self.wanted])

    def renew(self) -> None:
        """Have everything confirmed anew; what may be told may still be told."""
        self.awaited = set(self.wanted)
        self._changed.update(dict.fromkeys(self.wanted))

    def take(self) -> tuple[list[tuple[str, int]], list[str]]:
        """(channel, token) of what is to be bound now, and the channels to be unbound; no channel is in both."""
        bind, unbind = [], []
        for channel in self._changed:
            if channel in self.wanted:
                self._bound.add(channel)
                bind.append((channel, self._tokens[channel]))
            elif channel in self._bound:
                unbind.append(channel)
        self._changed.clear()
        return bind, unbind

    def bound(self, channel: str, token: int) -> int | None:
        """The server has bound it: the generation to confirm, if that is still meant."""
        if self._tokens.get(channel) != token:
            return None
        self.names[routing_key(channel)] = channel
        self.awaited.discard(channel)
        return self.wanted[channel]

    def unbound(self, channel: str) -> None:
        """The server has unbound it."""
        if channel not in self.wanted:
            self._bound.discard(channel)

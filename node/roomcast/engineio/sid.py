"""Session ids: the node's tag and 96 random bits, 20 characters of the base64url alphabet (cluster.md 1)."""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64encode

from roomcast.errors import SettingsError

TAG_PATTERN = re.compile(r"[A-Za-z0-9_-]{4}\Z")
RANDOM_BYTES = 12
# One system call serves 64 ids: drawing 12 bytes at a time costs as much as the rest of making an id together.
POOL_BYTES = RANDOM_BYTES * 64


def check_tag(tag: object, source: str = "tag") -> str:
    """The tag, if it can be one; else SettingsError, which names the option or variable that it came from."""
    if isinstance(tag, str) and TAG_PATTERN.match(tag):
        return tag
    raise SettingsError(f"{source}: a node's tag is 4 characters out of A-Z a-z 0-9 _ -, not {tag!r}")


def random_tag() -> str:
    """A tag that another node has once in 16 million."""
    return urlsafe_b64encode(os.urandom(3)).decode()


class SidSource:
    """Makes ids for one node. A process that forks must call :meth:`forget` in the child."""

    __slots__ = ("_at", "_pool", "tag")

    def __init__(self, tag: str | None = None) -> None:
        """``tag``: 4 base64url characters, or None for random ones. Raises SettingsError for anything else."""
        self.tag = random_tag() if tag is None else check_tag(tag)
        self._pool = b""
        self._at = POOL_BYTES

    def new(self) -> str:
        """Return an id that nobody can guess."""
        at = self._at
        if at >= len(self._pool):
            self._pool = os.urandom(POOL_BYTES)
            at = 0
        self._at = at + RANDOM_BYTES
        return self.tag + urlsafe_b64encode(self._pool[at : at + RANDOM_BYTES]).decode("ascii")

    def draw(self) -> None:
        """Another random tag for all ids from now on: some other node has this one."""
        self.tag = random_tag()

    def forget(self) -> None:
        """Throw away the random bytes drawn in advance, so that a forked child does not repeat its parent's ids."""
        self._pool = b""

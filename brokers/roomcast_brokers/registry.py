"""From a URL to a back end: a table of text; a module is imported when its scheme is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import cast

import msgspec

from roomcast_brokers.contracts import AsyncBroker
from roomcast_brokers.errors import BrokerURLError, MissingExtraError


class BackEnd(msgspec.Struct, frozen=True):
    """Where a back end is, and which extra of the distribution brings what it imports (None: nothing to install)."""

    path: str
    extra: str | None = None


BACK_ENDS: Mapping[str, BackEnd] = {
    "memory": BackEnd("roomcast_brokers.backends.memory:MemoryBroker"),
}


def scheme_of(url: str) -> str:
    """What stands before ``://``, in lower case. Raises :class:`BrokerURLError` if nothing does."""
    scheme, separator, _ = url.partition("://")
    if not separator or not scheme:
        raise BrokerURLError("a broker is named by a URL such as memory://")
    return scheme.lower()


def create(url: str, table: Mapping[str, BackEnd] = BACK_ENDS) -> AsyncBroker:
    """The broker that ``url`` names, not opened yet.

    Raises :class:`BrokerURLError` for a scheme that nobody serves (and suggests one), :class:`MissingExtraError` if the
    back end's package is not installed (and names the extra). No message quotes the URL, which may hold a password.
    """
    scheme = scheme_of(url)
    back_end = table.get(scheme)
    if back_end is None:
        near = get_close_matches(scheme, table, n=1)
        known = ", ".join(f"{name}://" for name in sorted(table))
        hint = f"did you mean {near[0]}://?" if near else f"there is {known}"
        raise BrokerURLError(f"no broker serves {scheme}://; {hint}")
    return _load(scheme, back_end)(url)


def _load(scheme: str, back_end: BackEnd) -> Callable[[str], AsyncBroker]:
    module, _, name = back_end.path.partition(":")
    try:
        return cast("Callable[[str], AsyncBroker]", getattr(import_module(module), name))
    except ImportError as error:
        if back_end.extra is None:
            raise
        command = f"pip install 'roomcast-brokers[{back_end.extra}]'"
        raise MissingExtraError(f"{scheme}:// needs a package that is not installed: {command}") from error

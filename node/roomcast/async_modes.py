"""What an ``async_mode`` is to both servers: a name, where its code is, and what has to be installed for it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import msgspec

from roomcast.errors import SettingsError


class Mode(msgspec.Struct, frozen=True):
    """``path`` is ``module:attribute``; ``library`` is an extra of the distribution too."""

    path: str
    library: str = ""


def load(name: str, modes: Mapping[str, Mode]) -> Any:
    """What a mode of this name is made of.

    Raises :class:`SettingsError` (a ValueError) for a name that does not exist, and for a library that is missing.
    """
    mode = modes.get(name)
    if mode is None:
        raise SettingsError(f"there is no async_mode {name!r}; there are {', '.join(map(repr, modes))}")
    module, _, attribute = mode.path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        raise SettingsError(
            f"async_mode {name!r} needs a package that is not installed: pip install 'roomcast[{mode.library}]'"
        ) from error

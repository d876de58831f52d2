"""What the programs beside this file serve: ``python -m tests.interop.apps.aiohttp_server module:name [port]``.

The name is that of an ``AsyncServer``, served at ``/socket.io/``, or of a dict of servers by their paths.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

HOST = "127.0.0.1"
PAGE = "{method} by another application: {body}"


def servers() -> Mapping[str, Any]:
    """The servers by their paths, without slashes."""
    module, _, name = sys.argv[1].partition(":")
    found = getattr(import_module(module), name)
    return (
        {path.strip("/"): server for path, server in found.items()} if isinstance(found, dict) else {"socket.io": found}
    )


def port() -> int:
    return int(sys.argv[2]) if len(sys.argv) > 2 else 8000

"""The servers of the interop application, for what serves them without ``ASGIApp``."""

from __future__ import annotations

from tests.interop.interop_app import build, build_quick

servers = {"socket.io": build(), "msgpack.io": build(serializer="msgpack"), "quick.io": build_quick()}

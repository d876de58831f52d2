"""The keywords of a server's constructor, as users know them, turned into settings (python-api.md 1.3, 1.4)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import msgspec

from roomcast.engineio import cookies
from roomcast.engineio.cors import OriginPolicy
from roomcast.errors import SettingsError
from roomcast.settings import Settings
from roomcast.socketio import serializers
from roomcast.socketio.codec import Codec, CodecLimits

TRANSPORTS = ("polling", "websocket")
# Taken for the sake of applications that pass them; what they did is always done, or never needed.
IGNORED = frozenset({"monitor_clients"})
FIELDS = frozenset(Settings.__struct_fields__)


class Options(msgspec.Struct, frozen=True):
    """What a server is made of."""

    settings: Settings
    policy: OriginPolicy
    cookie: Any
    tag: str | None


def read_options(options: dict[str, Any]) -> Options:
    """Turn keywords into options; SettingsError for values that cannot work, a UserWarning for unknown names."""
    rest = dict(options)
    fields: dict[str, Any] = {}
    interval = rest.pop("ping_interval", None)
    if interval is not None:
        fields["ping_interval"], fields["ping_grace"] = interval if isinstance(interval, tuple) else (interval, 0.0)
    if "max_http_buffer_size" in rest:
        fields["max_payload"] = int(rest.pop("max_http_buffer_size"))
    fields["transports"] = read_transports(rest.pop("transports", None))
    policy = OriginPolicy(rest.pop("cors_allowed_origins", None), rest.pop("cors_credentials", True))
    cookie = rest.pop("cookie", None)
    cookies.render(cookie, "x", True)  # what is wrong with it is said now, not at the first client
    tag = rest.pop("tag", None)
    for name in list(rest):
        if name in FIELDS:
            fields[name] = rest.pop(name)
    for name in sorted(rest.keys() - IGNORED):
        warnings.warn(f"the option {name!r} is not known to roomcast and has no effect", UserWarning, stacklevel=4)
    return Options(Settings(**fields), policy, cookie, tag)


def read_transports(transports: str | Iterable[str] | None) -> tuple[str, ...]:
    """Both by default; unknown names are dropped, and nothing left is a SettingsError (a ValueError)."""
    if transports is None:
        return TRANSPORTS
    named = (transports,) if isinstance(transports, str) else tuple(transports)
    known = tuple(name for name in TRANSPORTS if name in named)
    if not known:
        raise SettingsError(f"transports must name 'polling', 'websocket' or both, not {transports!r}")
    return known


def check_json(json: Any) -> None:
    """Find out now, not at the first client, that a ``json=`` cannot write packets; raises SettingsError."""
    if not (hasattr(json, "dumps") and hasattr(json, "loads")):
        raise SettingsError("json must have the functions dumps and loads")
    try:
        written = json.dumps({}, separators=(",", ":"))
    except TypeError as error:
        raise SettingsError("json.dumps must take the keyword separators, as the standard library's does") from error
    if not isinstance(written, str):
        raise SettingsError(f"json.dumps must return str, not {type(written).__name__}: wrap it and decode its result")


def make_codec(serializer: Any, json: Any, settings: Settings) -> Codec:
    """The codec of a server: a name, or a packet class that carries one (``MsgPackPacket.serializer``)."""
    if isinstance(serializer, type):
        serializer = getattr(serializer, "serializer", serializer.__name__)
    if json is not None:
        check_json(json)
    return serializers.make_codec(str(serializer), CodecLimits.from_settings(settings), json)

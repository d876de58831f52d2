"""The encodings by the names that the ``serializer`` option has for them."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from roomcast.errors import SettingsError
from roomcast.socketio.codec import Codec, CodecLimits
from roomcast.socketio.json_codec import JsonCodec, JsonModule
from roomcast.socketio.msgpack_codec import MsgpackCodec

SERIALIZERS: dict[str, Callable[[CodecLimits, JsonModule | None], Codec]] = {
    "default": JsonCodec,
    "msgpack": lambda limits, json: MsgpackCodec(limits),
}


def make_codec(serializer: str, limits: CodecLimits, json: JsonModule | None = None) -> Codec:
    """The codec of a server; ``json`` matters to ``default`` only. Raises SettingsError for an unknown name."""
    make = SERIALIZERS.get(serializer)
    if make is not None:
        return make(limits, json)
    near = get_close_matches(serializer, SERIALIZERS, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"it may be {' or '.join(map(repr, SERIALIZERS))}"
    raise SettingsError(f"there is no serializer {serializer!r}; {advice}")

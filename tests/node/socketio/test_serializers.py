"""Codecs by name."""

from __future__ import annotations

import json

import pytest

from roomcast.errors import SettingsError
from roomcast.socketio.codec import CodecLimits
from roomcast.socketio.json_codec import JsonCodec
from roomcast.socketio.msgpack_codec import MsgpackCodec
from roomcast.socketio.serializers import make_codec


def test_the_names_of_the_option() -> None:
    assert type(make_codec("default", CodecLimits())) is JsonCodec
    assert type(make_codec("default", CodecLimits(), json)) is JsonCodec
    assert type(make_codec("msgpack", CodecLimits())) is MsgpackCodec


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(SettingsError, match="did you mean 'msgpack'"):
        make_codec("msgpak", CodecLimits())


def test_any_other_name_is_told_what_there_is() -> None:
    with pytest.raises(SettingsError, match="it may be 'default' or 'msgpack'"):
        make_codec("pickle", CodecLimits())

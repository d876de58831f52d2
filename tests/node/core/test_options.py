"""The keywords of a server's constructor."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from roomcast.core.options import make_codec, read_options, read_transports
from roomcast.errors import SettingsError
from roomcast.msgpack_packet import MsgPackPacket
from roomcast.settings import Settings
from roomcast.socketio.json_codec import JsonCodec
from roomcast.socketio.msgpack_codec import MsgpackCodec
from tests.support.played import make_request


def test_without_keywords_everything_is_as_documented() -> None:
    options = read_options({})
    assert options.settings == Settings()
    assert options.cookie is None
    assert options.tag is None


def test_the_names_that_users_know() -> None:
    given: dict[str, Any] = {
        "ping_interval": (10, 2),
        "ping_timeout": 5,
        "max_http_buffer_size": 100.0,
        "transports": "websocket",
        "cookie": "io",
        "cors_allowed_origins": "*",
        "cors_credentials": False,
        "monitor_clients": True,
        "tag": "node",
        "max_rooms": 7,
    }
    before = dict(given)
    options = read_options(given)
    assert given == before
    assert options.settings == Settings(
        ping_interval=10, ping_grace=2, ping_timeout=5, max_payload=100, transports=("websocket",), max_rooms=7
    )
    assert (options.cookie, options.tag) == ("io", "node")
    request = make_request(b"", (b"origin", b"https://elsewhere"))
    assert options.policy.headers(request) == ((b"access-control-allow-origin", b"*"),)


def test_a_single_interval_has_no_grace() -> None:
    settings = read_options({"ping_interval": 10}).settings
    assert (settings.ping_interval, settings.ping_grace) == (10, 0.0)
    assert read_options({"ping_interval": None}).settings.ping_interval == 25.0


def test_unknown_names_are_told() -> None:
    with pytest.warns(UserWarning, match="'a_typo' is not known"):
        read_options({"a_typo": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_options({"monitor_clients": False})


@pytest.mark.parametrize(
    "options",
    [
        {"ping_interval": 0},
        {"max_http_buffer_size": 0},
        {"transports": ["carrier pigeon"]},
        {"cookie": 7},
        {"cors_allowed_origins": 7},
    ],
)
def test_what_cannot_work_is_told_at_once(options: dict[str, Any]) -> None:
    with pytest.raises((SettingsError, TypeError)):
        read_options(options)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, ("polling", "websocket")),
        ("polling", ("polling",)),
        (["websocket", "polling", "webtransport"], ("polling", "websocket")),
        (iter(["websocket"]), ("websocket",)),
    ],
)
def test_transports(given: Any, read: tuple[str, ...]) -> None:
    assert read_transports(given) == read


@pytest.mark.parametrize("given", ["", [], "webtransport"])
def test_no_transport_at_all(given: Any) -> None:
    with pytest.raises(SettingsError, match="transports must name"):
        read_transports(given)


# --- the codec --------------------------------------------------------------------------------------------------------


class Pickle:
    """A packet class of the application's own."""


class NotText:
    """As orjson: its dumps returns bytes."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> bytes:
        return json.dumps(value).encode()

    loads = staticmethod(json.loads)


class NoSeparators(NotText):
    """Takes no keywords."""

    @staticmethod
    def dumps(value: Any) -> str:  # type: ignore[override]  # the point of the test
        return json.dumps(value)


class Incomplete:
    """Only writes."""

    dumps = staticmethod(json.dumps)


@pytest.mark.parametrize(
    ("serializer", "kind"), [("default", JsonCodec), ("msgpack", MsgpackCodec), (MsgPackPacket, MsgpackCodec)]
)
def test_serializers(serializer: Any, kind: type[Any]) -> None:
    assert isinstance(make_codec(serializer, None, Settings()), kind)


@pytest.mark.parametrize("serializer", [Pickle, "pickle", None])
def test_a_serializer_that_is_not_there(serializer: Any) -> None:
    with pytest.raises(SettingsError, match="no serializer"):
        make_codec(serializer, None, Settings())


def test_a_json_module_of_the_applications_own() -> None:
    codec = make_codec("default", json, Settings())
    assert codec.encode_event("/", ["e", 1]) == (b'2["e",1]', [])


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (object(), "dumps and loads"),
        (Incomplete, "dumps and loads"),
        (NoSeparators, "keyword separators"),
        (NotText, "must return str, not bytes"),
    ],
)
def test_a_json_module_that_cannot_work(module: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        make_codec("default", module, Settings())

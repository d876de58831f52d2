"""The paths under which applications import things: each gives the one object, and nothing else by accident."""

from __future__ import annotations

import importlib
import runpy
import subprocess
import sys
from typing import Any

import pytest

import roomcast
from roomcast.core.options import make_codec
from roomcast.settings import Settings
from tests.support.patience import PATIENCE

MODULES: dict[str, dict[str, Any]] = {
    "asgi": {"ASGIApp": roomcast.ASGIApp},
    "async_manager": {"AsyncManager": roomcast.AsyncManager},
    "async_namespace": {"AsyncNamespace": roomcast.AsyncNamespace},
    "async_server": {"AsyncServer": roomcast.AsyncServer},
}


@pytest.mark.parametrize("module", MODULES)
def test_the_same_object_as_at_the_top(module: str) -> None:
    found = importlib.import_module(f"roomcast.{module}")
    assert {name: getattr(found, name) for name in found.__all__} == MODULES[module]


@pytest.mark.parametrize("module", [*MODULES, "engine", "packet", "msgpack_packet"])
def test_all_names_what_is_there(module: str) -> None:
    found = importlib.import_module(f"roomcast.{module}")
    assert found.__all__
    assert all(hasattr(found, name) for name in found.__all__)


def test_the_engine_is_the_drivers() -> None:
    from roomcast.drivers.asyncio.engine_server import EngineServer
    from roomcast.engine import EngineServer as Public

    assert Public is EngineServer


def test_msgpack_packet_names_its_serializer() -> None:
    from roomcast.msgpack_packet import MsgPackPacket

    settings = Settings()
    assert type(make_codec(MsgPackPacket, None, settings)) is type(make_codec("msgpack", None, settings))
    assert roomcast.AsyncServer(serializer=MsgPackPacket).node.codec.binary


def test_packet_has_the_numbers_of_the_protocol() -> None:
    from roomcast import packet

    assert [getattr(packet, name) for name in packet.__all__ if name != "Packet"] == [3, 6, 5, 0, 4, 1, 2]


def test_names_that_do_not_exist_at_all() -> None:
    with pytest.raises(AttributeError, match="module 'roomcast' has no attribute 'Sever'"):
        _ = roomcast.Sever


def test_python_m_roomcast(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["roomcast", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("roomcast", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"roomcast {roomcast.__version__}\n"


def test_importing_roomcast_needs_no_asgi_server() -> None:
    """hypercorn and daphne serve it as well: uvicorn is the command's, not the library's."""
    program = "import sys, roomcast, roomcast.engine; sys.exit('uvicorn' in sys.modules or 'starlette' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=PATIENCE)
    assert ended.returncode == 0

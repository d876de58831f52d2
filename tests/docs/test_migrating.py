"""docs/migrating.md names every option of python-socketio, and nothing that does not exist."""

from __future__ import annotations

import importlib
import inspect
import re
import warnings

import engineio
import pytest
import socketio

import roomcast
from roomcast.settings import Settings
from tests.support.tree import ROOT

TEXT = (ROOT / "docs" / "migrating.md").read_text("utf-8")
TABLE = TEXT.partition("## What the options map to")[2]
NO_OPTIONS = {"self", "args", "kwargs", "engineio_options"}


def incumbent_options() -> set[str]:
    classes = [socketio.AsyncServer, socketio.Server, engineio.AsyncServer, engineio.Server]
    every = [each for cls in classes for each in cls.__mro__ if each is not object]
    named = {name for cls in every for name in inspect.signature(cls.__init__).parameters} - NO_OPTIONS
    return named | {"engineio_logger"}  # taken out of the keywords, so no signature names it


def test_every_option_has_its_row() -> None:
    first_cells = " ".join(re.findall(r"^\| ([^|]+) \|", TABLE, re.MULTILINE))
    assert incumbent_options() == set(re.findall(r"`(\w+)`", first_cells))


def test_settings_that_are_named_exist() -> None:
    named = set(re.findall(r"settings? `(\w+)`", TABLE)) | {"connect_timeout", "max_attachments", "max_decode_packets"}
    assert named <= set(Settings.__struct_fields__)


def test_the_paths_that_are_said_to_exist_do() -> None:
    line = TEXT.partition("* These paths exist")[2].partition("\n*")[0]
    names = re.findall(r"`(?:roomcast)?(\.\w+)`", line)
    assert len(names) == 14
    for name in names:
        importlib.import_module(f"roomcast{name}")


def test_what_is_not_there_yet_says_so() -> None:
    with pytest.raises(AttributeError, match="comes with"):
        _ = roomcast.PubSubManager


def test_the_examples_of_options_are_taken_in_silence() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        roomcast.AsyncServer(connect_timeout=10, max_attachments=100, monitor_clients=True, ping_interval=(25, 5))
    with pytest.warns(UserWarning, match="ping_intervall"):
        roomcast.AsyncServer(ping_intervall=3)

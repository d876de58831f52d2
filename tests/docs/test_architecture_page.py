"""ARCHITECTURE.md names files and names that exist."""

from __future__ import annotations

import re

import pytest

from tests.support.tree import ROOT, name_of, python_files

TEXT = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
FILES = sorted(set(re.findall(r"`((?:[\w*]+/)*[\w*]+\.(?:py|md|toml))`", TEXT)))
# `Engine.close`, `Client.receive_text`, `Runtime._do`, `deliver` …: what is defined somewhere in the sources.
NAMES = sorted(set(re.findall(r"`(?:[A-Z]\w+\.)?(_?[a-z]\w+)(?:\(\w*\))?`", TEXT)))
NODE = "node/roomcast"
FILES_OF_SOURCES = python_files(NODE, "brokers/roomcast_brokers", "emitter/roomcast_emitter")
SOURCES = {name_of(path).removeprefix(f"{NODE}/"): path.read_text("utf-8") for path in FILES_OF_SOURCES}


def test_it_is_short_enough_to_be_read() -> None:
    assert len(TEXT.splitlines()) <= 250


@pytest.mark.parametrize("name", FILES)
def test_files_exist(name: str) -> None:
    beneath = [path for path in SOURCES if path == name or path.endswith(f"/{name}")]
    assert beneath or any(ROOT.glob(name)), name


@pytest.mark.parametrize("name", NAMES)
def test_names_are_in_the_sources(name: str) -> None:
    assert any(re.search(rf"\b{name}\b", text) for text in SOURCES.values()), name

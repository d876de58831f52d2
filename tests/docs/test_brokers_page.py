"""The table of docs/brokers.md that says which broker works with which server is what the registry says, and tested."""

from __future__ import annotations

import re

import pytest

from roomcast_brokers.registry import BACK_ENDS
from tests.cluster.conftest import ALL_GREEN, GREEN, GREENLETS, service_of
from tests.contract.services import SERVICES
from tests.support.tree import ROOT

TEXT = (ROOT / "docs" / "brokers.md").read_text("utf-8").split("## With which server")[1].split("\n## ")[0]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*`.*$", TEXT, re.MULTILINE)]
BROKERS = ROWS[1:]
COLOURS = {
    "asyncio": ["yes", "loop in a thread", "loop in a greenlet", "loop in a greenlet"],
    "threads": ["in a thread", "yes", "yes", "yes"],
}
TESTED = {
    "redis": ["redis"],
    "zmq+ipc": ["zmq"],
    "amqp": ["aiopika", "aiopika-durable"],
    "kafka": ["kafka"],
    "kombu+": ["kombu-amqp", "kombu-redis"],
}
"""Which services of the cluster suite stand for a row; that of memory:// is tests/cluster/test_green.py."""


def schemes(cell: str) -> list[str]:
    return [each.replace("…", "").removesuffix("://") for each in re.findall(r"`([^`]+)`", cell)]


def test_every_back_end_has_its_row() -> None:
    paths = {BACK_ENDS[scheme].path for row in BROKERS for scheme in schemes(row[0])}
    assert paths == {back_end.path for back_end in BACK_ENDS.values()}


@pytest.mark.parametrize("row", BROKERS, ids=lambda row: schemes(row[0])[0])
def test_what_it_says_is_what_the_registry_does(row: list[str]) -> None:
    for scheme in schemes(row[0]):
        assert row[1:] == COLOURS[BACK_ENDS[scheme].colour]


def test_every_row_is_tried_under_both_libraries() -> None:
    assert {"eventlet", GREENLETS} <= set(GREEN)
    assert {schemes(row[0])[0] for row in BROKERS} == {"memory", *TESTED}
    assert {service_of(row) for row in ALL_GREEN} == {name for names in TESTED.values() for name in names}
    assert {name for names in TESTED.values() for name in names} <= {row.name for row in SERVICES}

"""What strangers can send to the chat, and what becomes of the people of a node that dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.chat import app as chat
from examples.chat.store import BadInput, Person, Store
from roomcast.core.roster import NodeInfo
from roomcast.exposition.health import Readiness

KEY = "a-secret-of-this-browser"


@pytest.mark.parametrize(
    "value", [None, 7, b"Ada", ["Ada"], {"name": "Ada"}, "", " \t", "x" * 25, "A\x00b", "\u202eadA"]
)
def test_names_are_one_printable_line(value: object) -> None:
    with pytest.raises(BadInput, match="Your name needs 1 to 24"):
        chat.line(value, "Your name")


def test_spaces_in_names_are_folded() -> None:
    assert chat.line("  Ada \n Lovelace ", "Your name") == "Ada Lovelace"


@pytest.mark.parametrize("value", [None, 7, b"hello", ["hello"], "", " \n", "x" * 2_001])
def test_messages_are_text_of_bounded_length(value: object) -> None:
    with pytest.raises(BadInput, match="1 to 2000 characters"):
        chat.words(value)


def test_messages_keep_their_lines_and_are_no_html() -> None:
    assert chat.words(" <b>1</b>\n2 ") == "<b>1</b>\n2"


@pytest.mark.parametrize("value", [None, 12345678, "short", "x" * 65, "ключ-ключ"])
def test_ids_are_short_and_plain(value: object) -> None:
    with pytest.raises(BadInput):
        chat.token(value)


# --- nodes that die ---------------------------------------------------------------------------------------------------


class SeenCluster:
    """The chat's server as its watch sees it: the cluster is what the test says, and emits are kept."""

    def __init__(self) -> None:
        self.alive = ["n001", "n002"]
        self.degraded: tuple[str, ...] = ()
        self.emitted: list[tuple[str, Any, Any]] = []
        self.cluster = self

    tag = "n001"

    def nodes(self) -> list[NodeInfo]:
        return [NodeInfo(tag, 1.0, {"/": 2}, tag == self.tag) for tag in self.alive]

    def count(self) -> int:
        return 2 * len(self.alive)

    def readiness(self) -> Readiness:
        return Readiness(started=True, degraded=self.degraded)

    async def emit(self, event: str, data: Any, room: Any = None, ignore_queue: bool = False, **_: Any) -> None:
        assert ignore_queue is (event == "cluster")  # each node tells its own pages
        self.emitted.append((event, data, room))

    def left(self) -> list[str]:
        return [data["left"] for event, data, _ in self.emitted if event == "people"]


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SeenCluster]:
    server, store = SeenCluster(), Store(str(tmp_path / "chat.sqlite3"))
    monkeypatch.setattr(chat, "sio", server)
    monkeypatch.setattr(chat, "store", store)
    store.enter("lobby", Person("n001-ada", "Ada", KEY), "n001")
    store.enter("lobby", Person("n002-grace", "Grace", KEY), "n002")
    store.enter("engines", Person("n002-mary", "Mary", KEY), "n002")
    yield server
    store.close()


async def test_who_was_on_a_node_that_died_goes(seen: SeenCluster) -> None:
    watch = chat.Watch()
    await watch.look()
    seen.alive = ["n001"]
    await watch.look()
    assert seen.left() == []  # it may have come this very moment, unheard of so far
    await watch.look()
    assert sorted(seen.left()) == ["Grace", "Mary"]
    last = next(data for event, data, room in seen.emitted if room == "room:lobby")
    assert (last["people"], last["room"]) == (["Ada"], "lobby")
    await watch.look()
    assert len(seen.left()) == 2


async def test_without_a_broker_nobody_is_thought_dead(seen: SeenCluster) -> None:
    watch = chat.Watch()
    seen.alive, seen.degraded = ["n001"], ("the broker is away",)
    for _ in range(3):
        await watch.look()
    assert seen.left() == []
    seen.alive, seen.degraded = ["n001", "n002"], ()
    await watch.look()
    assert seen.left() == []


async def test_the_pages_are_told_how_large_the_cluster_is_when_that_changes(seen: SeenCluster) -> None:
    watch = chat.Watch()
    for alive in (["n001", "n002"], ["n001", "n002"], ["n001"]):
        seen.alive = alive
        await watch.look()
    told = [data for event, data, _ in seen.emitted if event == "cluster"]
    assert told == [{"node": "n001", "nodes": 2, "online": 4}, {"node": "n001", "nodes": 1, "online": 2}]

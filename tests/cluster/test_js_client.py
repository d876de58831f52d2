"""The official JavaScript client on several nodes of one cluster (``cluster`` in tests/interop/js/scenarios.js)."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.cluster.conftest import BACK_ENDS, Standing
from tests.support.js_client import CLIENTS, TRANSPORTS, node_program, play
from tests.support.scene import Scene

BYTES = {"bytes": "000102fdfeff"}
QUICK = {("memory", "newest", "websocket"), ("zmq", "newest", "upgrade"), ("redis", "newest", "polling")}
"""What the default run plays; the others are for the long one."""
CASES = [
    pytest.param(*case, marks=() if case in QUICK else pytest.mark.long)
    for case in itertools.product(BACK_ENDS, CLIENTS, TRANSPORTS)
]


@pytest.fixture(scope="session")
def node() -> str:
    return node_program()


@pytest.mark.parametrize(("back_end", "client", "transport"), CASES)
async def test_clients_of_three_nodes(
    standing: Standing, node: str, back_end: str, client: str, transport: str
) -> None:
    nodes = standing.nodes(back_end)
    async with Scene(nodes) as scene:
        urls = [each.url for each in nodes]
        saw = await asyncio.to_thread(play, node, urls[0], "cluster", client, transport, urls=urls)
    assert saw["answer"] == [[index, BYTES, BYTES] for index in range(3)]
    assert saw["as a room"] == [None, "ValueError", "ValueError"]
    everybody = ["all", [BYTES, {"deep": [BYTES]}]]
    last = ["room", "without the last"]
    first, second, third = saw["heard"]
    for events in (second, third):
        assert events.pop()[:2] == ["disconnect", "io server disconnect"]
    if not nodes.ordered and last in third:  # that it leaves the room may come after what is sent there
        third.remove(last)
    assert [scene.orderly(events) for events in (first, second, third)] == [
        scene.orderly([everybody, ["room", "text"], ["one", 0], ["several"], last]),
        scene.orderly([everybody, ["one", 1], ["several"], last]),
        scene.orderly([everybody, ["room", "text"], ["one", 2], ["several"]]),
    ]

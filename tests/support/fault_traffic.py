"""Three nodes on a broker that is not Redis by ours, members in their rooms, and traffic between them while something
happens to the broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from tests.support.cluster_nodes import new_cluster
from tests.support.fault_cluster import FaultCluster, FaultNode
from tests.support.patience import PATIENCE
from tests.support.referee import Loss, Referee

TALKS: Final = 1.0
"""Seconds of traffic before and after something happens."""
BACK: Final = 6 * PATIENCE
"""Seconds until everybody hears everybody again."""


def cluster_on(url: str, nodes: int = 3, environment: Mapping[str, str] | None = None) -> FaultCluster:
    """Nodes whose broker is at ``url``; not started."""
    surroundings = {**(environment or {}), "ROOMCAST_BROKER": url}
    return FaultCluster(nodes=nodes, proxied=False, name=new_cluster(), environment=surroundings)


@asynccontextmanager
async def traffic(cluster: FaultCluster, serve: Callable[[], object]) -> AsyncIterator[Referee]:
    """The nodes run; ``serve`` makes the broker run. A failure has with it what the nodes wrote."""
    await asyncio.to_thread(serve)
    try:
        async with Referee(cluster.nodes) as referee:
            referee.patience = BACK
            await referee.everybody_hears(BACK)
            referee.talk()
            await asyncio.sleep(TALKS)
            yield referee
    except BaseException as failure:
        failure.add_note(cluster.logs())
        raise


async def settled(referee: Referee) -> dict[FaultNode, Loss]:
    """Everybody hears everybody, and what each has missed is what it has confessed."""
    await referee.everybody_hears(BACK)
    await asyncio.sleep(TALKS)
    return await referee.settled(BACK)


def nothing_lost(losses: Mapping[FaultNode, Loss]) -> bool:
    return all(loss.missing == loss.lost == loss.dropped == 0 for loss in losses.values())


def summary(referee: Referee, losses: dict[FaultNode, Loss]) -> str:
    missing = sum(loss.missing for loss in losses.values())
    missed = f"{missing} missed, all reported" if missing else "none missed"
    return f"none deaf; {referee.sent.total()} messages, {missed}, none twice"

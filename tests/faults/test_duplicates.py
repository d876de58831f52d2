"""F13: nothing arrives twice: not where targets overlap, and not where a publisher cannot know that it was heard."""

from __future__ import annotations

import pytest

from roomcast_brokers.channels import DEFAULT_CLUSTER, Channels
from tests.support.fault_cluster import FaultCluster
from tests.support.fault_member import eventually
from tests.support.fault_results import Results
from tests.support.referee import Referee

CHANNEL = Channels(DEFAULT_CLUSTER).room("/", "one").encode()


async def test_who_is_in_several_of_the_rooms_gets_one_copy(cluster: FaultCluster) -> None:
    """On the node that emits as on the others."""
    async with Referee(cluster.nodes) as referee:
        emits = referee.members[cluster.nodes[0]]
        flow = emits.tag, "several"
        rooms = ["one", "two", *(member.sid for member in referee.members.values())]
        for number in range(1, 21):
            referee.sent[flow] = number
            await emits.tell("say_to", rooms, number)

        async def have_all() -> bool:
            return all(referee.received(node, emits.tag) == number for node in cluster.nodes)

        await eventually(have_all, "a message for several rooms did not arrive")
        await referee.settled()


@pytest.mark.parametrize("resets", [5, pytest.param(200, marks=pytest.mark.faults)])
async def test_a_message_that_was_heard_is_not_heard_again(
    cluster: FaultCluster, resets: int, results: Results
) -> None:
    """The connection is reset when Redis has the message and the publisher has not heard so. It has to say it again."""
    publisher, *others = cluster.nodes
    proxy = publisher.proxy
    assert proxy is not None
    async with Referee(cluster.nodes) as referee:
        await referee.everybody_hears()
        before = [(await node.metrics())["messages_duplicate_total"] for node in others]
        done = proxy.resets
        for number in range(1, resets + 1):
            proxy.reset_after(CHANNEL)
            await referee.say(publisher, 1, ["one", "two"] * 3)  # several messages for each: their order counts

            async def was_reset(number: int = number) -> bool:
                return proxy.resets == done + number

            await eventually(was_reset, "the connection was not reset")
            await referee.everybody_hears()
        await referee.settled()
        repeats = [(await node.metrics())["messages_duplicate_total"] for node in others]
        found = [new - old for old, new in zip(before, repeats, strict=True)]
        assert all(count >= resets for count in found), found
        # The others heard all the time, so what was said again, in its order, has reached them.
        assert not any(referee.missed_of(node, referee.members[publisher].tag) for node in others)
    if resets > 100:
        results.add(
            "F13", f"{resets} resets between a PUBLISH and its reply", f"{found} repeats dropped, none delivered"
        )

"""Who is there and how many clients they have, from the beats."""

from roomcast.core.membership import Membership
from roomcast.core.roster import NodeInfo, Roster
from roomcast_brokers.messages import Beat, Goodbye, Origin

SELF = Origin("self", b"00000000")
PEER = Origin("peer", b"11111111")
ALSO = Origin("also", b"22222222")


def test_a_node_alone_knows_itself() -> None:
    roster = Roster(Membership(SELF, started=10.0), lambda: {"/": 3})
    assert roster.nodes(12.5) == [NodeInfo("self", 2.5, {"/": 3}, True)]
    assert roster.count("/") == 3
    assert roster.count("/admin") == 0


def test_peers_count_as_their_latest_beats_said_until_they_are_gone() -> None:
    membership = Membership(SELF)
    roster = Roster(membership, lambda: {"/": 3})
    membership.heard_beat(PEER, Beat(1, 500, {"/": 2, "/admin": 1}), 1.0)
    membership.heard_beat(PEER, Beat(2, 1500, {"/": 4}), 2.0)
    membership.heard_beat(PEER, Beat(2, 1500, {}, page=1), 2.0)
    membership.heard_beat(ALSO, Beat(1, 0, {"/": 10}), 2.0)
    assert roster.nodes(2.0) == [
        NodeInfo("self", 2.0, {"/": 3}, True),
        NodeInfo("also", 0.0, {"/": 10}, False),
        NodeInfo("peer", 1.5, {"/": 4}, False),
    ]
    assert roster.count("/") == 17
    membership.heard_goodbye(ALSO, Goodbye(), 3.0)
    assert roster.count("/") == 7
    assert [node.tag for node in roster.nodes(3.0)] == ["self", "peer"]

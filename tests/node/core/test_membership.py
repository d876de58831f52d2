"""Who is there: leases in rounds of our own beats, restarts, returns, twins; and whether we are heard at all."""

import pytest

from roomcast.core import membership as module
from roomcast.core.membership import (
    Deaf,
    Event,
    HearsAgain,
    Joined,
    Left,
    Lost,
    Membership,
    Restarted,
    Returned,
    Twin,
)
from roomcast.core.rivals import TWIN_ROUNDS
from roomcast_brokers.messages import Beat, Goodbye, Hello, Origin

SELF = Origin("self", b"55555555")
PEER = Origin("peer", b"11111111")
REBORN = Origin("peer", b"22222222")


class Node:
    """A membership whose beats come back at once, unless they are kept."""

    def __init__(self, started: float = 0.0) -> None:
        self.membership = Membership(SELF, started=started)
        self.now = started
        self.membership.up(started)
        self.kept: list[int] = []

    def write(self, seconds: float = 1.0) -> list[Event]:
        """So much later a beat is written if one is due."""
        self.now += seconds
        events = self.membership.tick(self.now)
        number = self.membership.beat(self.now)
        self.kept += [] if number is None else [number]
        return events

    def read(self) -> list[Event]:
        """The beats that were written come back."""
        numbers, self.kept = self.kept, []
        return [
            event for number in numbers for event in self.membership.heard_beat(SELF, Beat(number, 0, {}), self.now)
        ]

    def is_deaf(self) -> bool:
        return self.membership.deaf

    def rounds(self, count: int) -> list[Event]:
        return [event for _ in range(count) for event in self.write() + self.read()]

    def hears(self, origin: Origin, uptime_ms: int = 0, clients: dict[str, int] | None = None) -> list[Event]:
        return self.membership.heard_beat(origin, Beat(1, uptime_ms, clients or {}), self.now)

    def hears_hello(self, origin: Origin, uptime_ms: int = 0) -> list[Event]:
        return self.membership.heard_hello(origin, Hello(uptime_ms, "1.0"), self.now)


@pytest.fixture
def node() -> Node:
    """It has heard its first beat and a peer."""
    node = Node()
    node.rounds(1)
    assert node.hears(PEER) == [Joined("peer", PEER.epoch)]
    return node


# --- beats ------------------------------------------------------------------------------------------------------------


def test_beats_are_due_once_a_second_while_the_broker_is_up() -> None:
    membership = Membership(SELF)
    assert membership.due() is None
    assert membership.beat(0.0) is None
    membership.up(5.0)
    assert membership.due() == 5.0
    assert membership.beat(5.0) == 1
    assert membership.beat(5.9) is None
    assert membership.due() == 6.0
    assert membership.beat(6.1) == 2
    assert membership.due() == 7.0  # the late one shifts nothing
    membership.down(6.5)
    assert membership.due() is None
    assert membership.beat(8.0) is None


def test_beats_that_a_stall_missed_are_not_made_up_for() -> None:
    membership = Membership(SELF)
    membership.up(0.0)
    membership.beat(0.0)
    assert membership.beat(10.0) == 2
    assert membership.beat(10.5) is None
    assert membership.due() == 11.0


def test_the_clock_is_when_the_latest_beat_that_came_back_was_written() -> None:
    membership = Membership(SELF, started=3.0)
    membership.up(4.0)
    assert membership.clock == 3.0
    membership.beat(4.0)
    membership.beat(5.0)
    membership.heard_beat(SELF, Beat(2, 0, {}), 5.25)
    assert membership.clock == 5.0
    assert membership.lag == 0.25
    membership.heard_beat(SELF, Beat(1, 0, {}), 5.5)  # order is kept: that is no beat of ours, or another page
    membership.heard_beat(SELF, Beat(9, 0, {}), 5.5)
    assert membership.clock == 5.0
    assert membership.uptime_ms(5.5) == 2_500


def test_a_beat_from_before_a_break_says_nothing_after_it() -> None:
    membership = Membership(SELF)
    membership.up(0.0)
    membership.beat(0.0)
    membership.down(0.5)
    membership.up(1.0)
    membership.beat(1.0)
    membership.heard_beat(SELF, Beat(1, 0, {}), 1.5)
    assert membership.clock == 0.0
    assert membership.lag == 0.0


# --- deafness ---------------------------------------------------------------------------------------------------------


def test_three_beats_that_do_not_come_back_within_the_lease_make_a_node_deaf_and_one_heals_it() -> None:
    node = Node()
    node.rounds(1)
    assert node.write() + node.write() + node.write() == []
    assert not node.is_deaf()
    assert node.membership.due() == 5.0
    assert node.write() == [Deaf()]
    assert node.is_deaf()

    node.membership.down(node.now)
    assert not node.is_deaf()  # it is unreachable now, which is another thing
    node.membership.up(node.now)
    assert node.is_deaf()  # until it has heard itself
    node.kept.clear()
    node.write(0.0)
    assert node.read() == [HearsAgain()]
    assert not node.is_deaf()
    assert node.rounds(5) == []


def test_a_node_that_stays_deaf_is_told_again() -> None:
    node = Node()
    assert [node.write() for _ in range(9)] == [[], [], [], [Deaf()], [], [], [Deaf(again=True)], [], []]


def test_what_was_written_before_a_break_makes_nobody_deaf() -> None:
    node = Node()
    node.write(0.0)
    node.write()
    node.membership.down(node.now)
    node.membership.up(node.now)
    assert [node.write() for _ in range(4)] == [[], [], [], [Deaf()]]


def test_one_beat_in_three_is_enough() -> None:
    node = Node()
    for _ in range(5):
        assert node.write() + node.write() + node.write() == []
        node.kept = node.kept[-1:]
        assert node.read() == []


def test_a_stall_of_our_own_is_not_deafness() -> None:
    """The beats have come back, but to a process that stood still; it reads its sockets before it judges."""
    node = Node()
    node.write(0.0)
    node.write()
    node.write()
    assert node.write(60.0) == []
    assert not node.is_deaf()
    assert node.read() == []
    assert node.rounds(5) == []


def test_a_stalled_node_that_reads_nothing_then_is_deaf() -> None:
    node = Node()
    node.write(0.0)
    node.write()
    node.write()
    assert node.write(60.0) == []
    assert node.write(1.0) == [Deaf()]


# --- leases -----------------------------------------------------------------------------------------------------------


def test_a_peer_is_lost_when_three_beats_of_ours_came_back_since_it_was_heard(node: Node) -> None:
    assert node.membership.is_alive("peer")
    assert node.membership.owner_epoch("peer") == PEER.epoch
    assert node.rounds(2) == []
    assert node.rounds(1) == [Lost("peer", PEER.epoch)]
    assert not node.membership.is_alive("peer")
    assert node.membership.owner_epoch("peer") is None
    assert node.membership.knew("peer")
    assert not node.membership.knew("none")


def test_any_message_of_a_peer_shows_that_it_lives(node: Node) -> None:
    for _ in range(5):
        assert node.rounds(2) == []
        node.membership.heard_other(PEER, node.now)


def test_a_message_of_another_life_or_of_nobody_known_shows_nothing(node: Node) -> None:
    node.membership.heard_other(Origin("none", b"88888888"), node.now)
    assert node.rounds(2) == []
    node.membership.heard_other(REBORN, node.now)
    assert node.rounds(1) == [Lost("peer", PEER.epoch)]
    node.membership.heard_other(PEER, node.now)
    assert not node.membership.is_alive("peer")


def test_an_outage_of_the_broker_expels_nobody(node: Node) -> None:
    node.rounds(2)
    node.membership.down(node.now)
    assert node.write(100.0) == []
    node.membership.up(node.now)
    node.kept.clear()
    assert node.write(0.0) + node.read() + node.rounds(2) == []  # it has the time to come back
    node.hears(PEER)
    assert node.rounds(2) == []


def test_a_peer_that_did_not_survive_the_outage_is_lost_a_lease_after_it(node: Node) -> None:
    node.membership.down(node.now)
    node.membership.up(100.0)
    node.now = 100.0
    assert node.write(0.0) + node.read() + node.rounds(2) == []
    assert node.rounds(1) == [Lost("peer", PEER.epoch)]


def test_a_connection_that_breaks_all_the_time_does_not_keep_the_dead_alive(node: Node) -> None:
    events: list[Event] = []
    for _ in range(5):
        node.membership.down(node.now)
        node.membership.up(node.now)
        node.kept.clear()
        events += node.write(0.0) + node.read() + node.rounds(2)
    assert events == [Lost("peer", PEER.epoch)]


def test_after_each_break_peers_that_were_heard_meanwhile_have_a_full_lease(node: Node) -> None:
    for _ in range(3):
        node.rounds(2)
        node.membership.down(node.now)
        node.membership.up(node.now)
        node.kept.clear()
        assert node.write(0.0) + node.read() + node.rounds(2) == []
        node.hears(PEER)


def test_a_stall_of_our_own_expels_nobody(node: Node) -> None:
    """Several beats of ours are read in one go, before what the peer wrote between them: they are one step."""
    node.rounds(1)
    node.write()
    node.write()
    node.write()
    assert node.read() == []
    assert node.hears(PEER) == []
    assert node.rounds(2) == []


def test_after_a_stall_a_dead_peer_is_still_lost(node: Node) -> None:
    node.write()
    node.write()
    node.write()
    assert node.read() + node.rounds(1) == []
    assert node.rounds(1) == [Lost("peer", PEER.epoch)]


def test_goodbye_ends_a_peer_at_once(node: Node) -> None:
    assert node.membership.heard_goodbye(REBORN, Goodbye(), node.now) == []
    assert node.membership.heard_goodbye(PEER, Goodbye("done"), node.now) == [Left("peer", PEER.epoch)]
    assert node.membership.heard_goodbye(PEER, Goodbye(), node.now) == []
    assert node.membership.heard_goodbye(SELF, Goodbye(), node.now) == []
    assert node.membership.knew("peer")


def test_a_lost_peer_that_comes_back_is_simply_there_again(node: Node) -> None:
    node.rounds(3)
    assert node.hears(PEER, clients={"/": 4}) == [Returned("peer", PEER.epoch)]
    assert node.membership.peers["peer"].clients == {"/": 4}
    assert node.rounds(2) == []


def test_a_lost_peer_that_comes_back_in_another_life_has_joined(node: Node) -> None:
    node.rounds(3)
    assert node.hears(REBORN) == [Joined("peer", REBORN.epoch)]


# --- other lives under a peer's tag -----------------------------------------------------------------------------------


def test_a_hello_of_another_life_is_a_restart_at_once(node: Node) -> None:
    assert node.hears_hello(PEER, 100) == []
    assert node.membership.peers["peer"].uptime_ms == 100
    assert node.membership.peers["peer"].version == "1.0"
    assert node.hears_hello(REBORN) == [Restarted("peer", PEER.epoch, REBORN.epoch)]
    assert node.membership.owner_epoch("peer") == REBORN.epoch
    assert node.hears(REBORN) == []


def test_late_words_of_a_predecessor_undo_no_restart(node: Node) -> None:
    node.hears_hello(REBORN)
    assert node.hears(PEER) == []
    assert node.hears_hello(PEER) == []
    node.rounds(1)
    assert node.hears(REBORN) == []
    assert node.hears(PEER) == []
    assert node.membership.owner_epoch("peer") == REBORN.epoch


def test_a_restart_without_a_hello_is_believed_when_it_was_heard_before_and_after_a_beat_of_ours(node: Node) -> None:
    assert node.hears(REBORN) == []
    assert node.hears(REBORN) == []
    assert node.rounds(1) == []
    assert node.hears(REBORN) == [Restarted("peer", PEER.epoch, REBORN.epoch)]


def test_two_nodes_that_share_a_tag_do_not_take_turns(node: Node) -> None:
    for _ in range(5):
        assert node.hears(REBORN) == []
        assert node.rounds(1) == []
        assert node.hears(PEER) == []
    assert node.hears(REBORN) == []
    node.rounds(1)
    node.membership.heard_other(PEER, node.now)  # any word of it is enough
    assert node.hears(REBORN) == []
    node.rounds(1)
    assert node.hears(REBORN) == [Restarted("peer", PEER.epoch, REBORN.epoch)]  # until one of them is silent


def test_a_beat_of_the_one_who_has_the_tag_is_enough_even_before_ours(node: Node) -> None:
    for _ in range(5):
        assert node.hears(REBORN) == []
        assert node.hears(PEER) == []
        assert node.rounds(1) == []


def test_two_late_messages_far_apart_are_no_restart(node: Node) -> None:
    assert node.hears(REBORN) == []
    for _ in range(3):
        node.rounds(1)
        node.membership.heard_other(PEER, node.now)
    node.membership.peers["peer"].heard = 0
    assert node.hears(REBORN) == []


# --- our own tag ------------------------------------------------------------------------------------------------------

SMALLER = Origin("self", b"44444444")
LARGER = Origin("self", b"66666666")


def sees_twin(node: Node, twin: Origin, uptime_ms: int) -> list[Event]:
    events = node.hears(twin, uptime_ms)
    node.rounds(1)
    return events + node.hears(twin, uptime_ms + 1_000)


def test_one_late_message_of_a_predecessor_is_no_twin() -> None:
    node = Node(started=100.0)
    assert node.hears(SMALLER, 999_999) == []
    assert node.hears(SMALLER, 999_999) == []
    node.rounds(5)
    assert node.hears(SMALLER, 999_999) == []  # a second late one is none either
    assert not node.membership.yielded


def test_a_predecessor_that_said_goodbye_is_no_twin() -> None:
    node = Node()
    node.hears(SMALLER, 9_000)
    node.rounds(1)
    node.membership.heard_goodbye(LARGER, Goodbye(), node.now)
    node.membership.heard_goodbye(SMALLER, Goodbye(), node.now)
    assert node.hears(SMALLER, 9_000) == []


def test_the_younger_twin_yields_and_writes_no_beats_any_more() -> None:
    node = Node()
    node.rounds(1)
    assert sees_twin(node, SMALLER, 60_000) == [Twin(yields=True)]
    assert node.membership.yielded
    assert node.membership.due() is None
    assert node.write(5.0) == []
    assert node.kept == []
    assert sees_twin(node, SMALLER, 65_000) == []
    node.membership.down(node.now)
    node.membership.up(node.now)
    assert node.membership.beat(node.now) is None


def test_the_older_twin_stays_and_says_so_once() -> None:
    node = Node()
    node.rounds(100)
    assert sees_twin(node, LARGER, 5_000) == [Twin(yields=False)]
    assert sees_twin(node, LARGER, 7_000) == []
    assert not node.membership.yielded


def test_a_hello_under_our_tag_counts_as_the_first_word_of_a_twin() -> None:
    node = Node()
    node.rounds(100)
    assert node.hears_hello(LARGER) == []
    node.rounds(1)
    assert node.hears(LARGER, 1_000) == [Twin(yields=False)]


@pytest.mark.parametrize(("twin", "yields"), [(SMALLER, False), (LARGER, True)])
def test_twins_of_the_same_age_are_told_apart_by_their_epochs(twin: Origin, yields: bool) -> None:
    node = Node()
    node.rounds(9)
    assert sees_twin(node, twin, 9_400) == [Twin(yields)]


@pytest.mark.parametrize(("twin", "events"), [(SMALLER, []), (LARGER, [Twin(yields=True)])])
def test_a_twin_that_does_not_go_is_told_apart_by_its_epoch_after_all(twin: Origin, events: list[Event]) -> None:
    node = Node()
    node.rounds(100)
    assert sees_twin(node, twin, 5_000) == [Twin(yields=False)]
    found: list[Event] = []
    for _ in range(TWIN_ROUNDS):
        node.rounds(1)
        found += node.hears(twin, 5_000)
    assert found == events


def test_another_twin_is_another_matter() -> None:
    node = Node()
    node.rounds(100)
    assert sees_twin(node, LARGER, 5_000) == [Twin(yields=False)]
    assert sees_twin(node, SMALLER, 5_000) == [Twin(yields=False)]


def test_under_a_new_tag_a_node_goes_on_in_the_same_life() -> None:
    node = Node()
    node.rounds(1)
    assert sees_twin(node, SMALLER, 60_000) == [Twin(yields=True)]
    renamed = Origin("anew", SELF.epoch)
    node.membership.rename(renamed)
    assert node.membership.origin == renamed
    assert not node.membership.yielded
    number = node.membership.beat(node.now)
    assert number is not None
    node.membership.heard_beat(renamed, Beat(number, 0, {}), node.now + 0.5)
    assert node.membership.lag == 0.5
    assert node.hears(SMALLER) == [Joined("self", SMALLER.epoch)]
    assert node.hears_hello(SELF) == []  # ours, from before
    assert node.hears(SELF) == []


def test_a_tag_that_is_changed_while_the_broker_is_away_beats_when_it_is_back() -> None:
    node = Node()
    node.membership.down(1.0)
    node.membership.rename(Origin("anew", SELF.epoch))
    assert node.membership.due() is None
    node.membership.up(2.0)
    assert node.membership.due() == 2.0


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_a_flood_of_forged_nodes_fills_no_memory_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PEERS", 10)
    node = Node()
    for each in range(15):
        node.hears_hello(Origin(f"n{each:03}", b"77777777"))
    assert len(node.membership.peers) == 10
    assert node.membership.refused == 5
    assert not node.membership.knew("n012")
    assert node.hears(Origin("emitters", b"77777777")) == []
    assert node.membership.refused == 6
    node.write(0.0)
    node.read()
    assert len(node.rounds(4)) == 10  # the flood ends by itself
    assert node.hears(PEER) == [Joined("peer", PEER.epoch)]


def test_known_tags_are_bounded_and_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KNOWN", 3)
    node = Node()
    for each in range(5):
        origin = Origin(f"n{each:03}", b"77777777")
        node.hears(origin)
        node.membership.heard_goodbye(origin, Goodbye(), node.now)
    assert [node.membership.knew(f"n{each:03}") for each in range(5)] == [False, False, True, True, True]


def test_of_a_beat_with_too_many_namespaces_only_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMESPACES", 2)
    node = Node()
    node.hears(PEER, clients={"/a": 1, "/b": 2, "/c": 3})
    assert node.membership.peers["peer"].clients == {"/a": 1, "/b": 2}

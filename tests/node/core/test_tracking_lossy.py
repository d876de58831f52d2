"""Loss reported equals loss observed (cluster.md 7), against a world that knows what was published and what was read.

One origin publishes on three channels, through a link that is slow, breaks and retries, to a broker that drops
messages; one receiver subscribes, breaks, stands still, and reads. Numbers and marks are made by real counters. At the
end all is quiet for a while. Then what tracking confessed must lie between

* what was surely in the promise and never read: published when the receiver had a place on that channel, or on a
  counter that was made while it listened, or after four undisturbed seconds of its subscription, with no trouble near;
  and
* everything that was published while the channel was subscribed, and never read.

At every message, what is called a repeat must be what was read before, and nothing else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from roomcast.core.membership import Membership
from roomcast.core.tracking import Tracking
from roomcast_brokers.messages import Beat, Mark, Origin
from roomcast_brokers.sequences import Sequences

SELF = Origin("self", b"55555555")
PEER = Origin("peer", b"11111111")
CONTROL = "all"  # where beats and answers go
CHANNELS = (CONTROL, "room", "hall")
STEP = 0.1
LEASE = 3.0
PROMISED = 4.2  # from so many seconds after the confirmation on nothing is lost silently, whatever was heard before
CERTAIN = 2.0  # a counter that was made so long after the confirmation is the receiver's from its first number on


@dataclass
class Message:
    channel: str
    gen: int = 0
    seq: int = 0
    count: int = 0
    marks: tuple[Mark, ...] | None = None  # None: data
    dropped: bool = False  # by the broker
    arrives: float = 0.0

    @property
    def numbers(self) -> list[tuple[str, int, int]]:
        return [(self.channel, self.gen, number) for number in range(self.seq, self.seq + self.count)]


@dataclass
class Confirmation:
    channel: str
    since: float  # when the broker began to deliver


@dataclass
class OwnBeat:
    number: int


@dataclass
class Heard:
    """One subscription, from its first confirmation to its unsubscribing."""

    since: float
    confirmed: float
    quiet: float  # since when nothing has gone wrong
    begun: float | None = None  # when nothing had gone wrong for so long that every counter has a beginning
    read: set[tuple[str, int, int]] = field(default_factory=set)
    place: float | None = None  # since when the receiver has a tracker made by data


class World:
    def __init__(self, ordered: bool, max_counters: int) -> None:
        self.ordered = ordered
        self.now = 100.0
        self.steps = 0
        # The origin. Counters that were idle for ten seconds are dropped while there are more than these.
        self.sequences = Sequences(max_counters)
        self.links: dict[str, deque[Message]] = {}
        self.published: dict[tuple[str, int, int], float] = {}
        self.arrived: dict[tuple[str, int, int], float] = {}  # at the broker, or dropped by it
        # The receiver.
        self.tracking = Tracking(ordered, LEASE)
        self.membership = Membership(SELF, started=self.now)
        self.membership.up(self.now)
        self.connected = True
        self.stalled = False
        self.inbox: deque[Message | Confirmation | OwnBeat] = deque()
        self.wanted: dict[str, float] = {}
        self.heard: dict[str, Heard] = {}
        self.troubles: list[float] = []
        self.surely = 0  # lost in subscriptions that have ended
        self.perhaps = 0
        self.subscribe(CONTROL)

    # --- what happens -------------------------------------------------------------------------------------------------

    def publish(self, channel: str, count: int, dropped: bool, delay: float) -> None:
        gen, seq = self.sequences.number(channel, count, self.now)
        message = Message(channel, gen, seq, count, None, dropped)
        self.published.update(dict.fromkeys(message.numbers, self.now))
        self.send(message, delay)

    def send(self, message: Message, delay: float = 0.0) -> None:
        link = self.links.setdefault("" if self.ordered else message.channel, deque())
        message.arrives = max(self.now + delay, link[-1].arrives if link else 0.0)
        link.append(message)

    def origin_breaks(self, arrived: int) -> None:
        """Of what was on its way the first have arrived, nobody knows; data is written again, control is forgotten."""
        self.troubles.append(self.now)
        for link in self.links.values():
            messages = list(link)
            link.clear()
            for message in messages[:arrived]:
                self.arrive(message)
            for message in messages:
                if message.marks is None:
                    self.send(Message(message.channel, message.gen, message.seq, message.count, None, message.dropped))

    def subscribe(self, channel: str) -> None:
        if channel not in self.wanted:
            self.wanted[channel] = self.now
            if self.connected:
                self.inbox.append(Confirmation(channel, self.now))

    def unsubscribe(self, channel: str) -> None:
        if channel != CONTROL and self.wanted.pop(channel, None) is not None:
            self.inbox = deque(item for item in self.inbox if isinstance(item, OwnBeat) or item.channel != channel)
            self.tracking.end(channel)
            self.settle(channel, surely=False)

    def breaks(self) -> None:
        self.connected = False
        self.troubles.append(self.now)
        self.inbox.clear()
        self.membership.down(self.now)

    def returns(self) -> None:
        if self.connected:
            return
        self.connected = True
        self.troubles.append(self.now)
        self.membership.up(self.now)
        self.inbox += [Confirmation(channel, self.now) for channel in self.wanted]
        self.write_beat()
        self.send(Message(CONTROL, marks=tuple(self.sequences.marks_of(None, self.now))))

    def stall(self, stalled: bool) -> None:
        if stalled != self.stalled:
            self.stalled = stalled
            self.troubles.append(self.now)

    # --- time ---------------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / STEP)):
            self.steps += 1
            self.now = 100.0 + self.steps * STEP
            if self.steps % 10 == 3:
                self.sequences.roll(self.now)
                self.send(Message(CONTROL, marks=tuple(self.sequences.marks(self.now))))
                self.sequences.tick(self.now)
            for link in self.links.values():
                while link and link[0].arrives <= self.now:
                    self.arrive(link.popleft())
            if not self.stalled:
                self.write_beat()
                self.read()
            for heard in self.heard.values():
                if self.stalled or not self.connected or self.troubles[-1:] == [self.now]:
                    heard.quiet = self.now
                elif heard.begun is None and self.now >= heard.quiet + PROMISED:
                    heard.begun = self.now

    def arrive(self, message: Message) -> None:
        if message.marks is None:
            self.arrived.update(dict.fromkeys(message.numbers, self.now))
        if self.connected and message.channel in self.wanted and not message.dropped:
            self.inbox.append(message)

    def write_beat(self) -> None:
        number = self.membership.beat(self.now)
        if number is not None:
            self.inbox.append(OwnBeat(number))

    def read(self) -> None:
        while self.inbox:
            item = self.inbox.popleft()
            if isinstance(item, Confirmation):
                self.tracking.begin(item.channel, self.now)
                self.heard.setdefault(item.channel, Heard(item.since, self.now, self.now))
            elif isinstance(item, OwnBeat):
                self.membership.heard_beat(SELF, Beat(item.number, 0, {}), self.now)
                self.tracking.tick(self.membership.clock)
            elif item.marks is None:
                self.read_data(item)
            else:
                for mark in item.marks:
                    self.tracking.mark(PEER, mark, self.membership.clock)

    def read_data(self, message: Message) -> None:
        heard = self.heard[message.channel]
        known = [number in heard.read for number in message.numbers]
        repeats = self.tracking.heard(PEER, message.channel, message.gen, message.seq, message.count, self.now)
        assert known == [True] * repeats + [False] * (message.count - repeats)
        heard.read.update(message.numbers)
        if heard.place is None:
            heard.place = self.now

    # --- the truth ----------------------------------------------------------------------------------------------------

    def settle(self, channel: str, surely: bool) -> None:
        """Count what the subscription of ``channel`` missed, now that it ends."""
        heard = self.heard.pop(channel, None)
        if heard is None:
            return
        for number, published in self.published.items():
            if number[0] == channel and number not in heard.read and self.arrived.get(number, 0.0) >= heard.since:
                self.perhaps += 1
                self.surely += surely and self.is_promised(number, published, heard)

    def is_promised(self, number: tuple[str, int, int], published: float, heard: Heard) -> bool:
        channel, gen, seq = number
        read = [each[2] for each in heard.read if each[1] == gen]
        alive = {mark.gen for mark in self.sequences.marks_of([channel], self.now)}
        if gen not in alive and not min(read, default=seq) < seq < max(read, default=seq):
            return False  # beginning or tail of a counter that was dropped, while nobody could hear its marks
        near = any(abs(each - published) < PROMISED for each in self.troubles)
        if heard.begun is not None and published >= heard.begun and not near:
            return True
        made = self.published[channel, gen, 1]
        return made >= heard.confirmed + CERTAIN or (heard.place is not None and published >= heard.place)

    def end(self) -> None:
        """Everything is quiet; then the receiver's connection breaks once more, and it asks."""
        self.stall(False)
        self.returns()
        self.pass_time(6.0)
        self.breaks()
        self.returns()
        self.pass_time(6.0)
        for channel in list(self.heard):
            self.settle(channel, surely=True)


CHANNEL = st.sampled_from(CHANNELS)
SECONDS = st.sampled_from([0.1, 0.5, 1.0, 3.0, 5.0, 12.0])
EVENTS = st.one_of(
    st.tuples(st.just("publish"), CHANNEL, st.integers(1, 3), st.just(False), st.integers(0, 9)),
    st.tuples(st.just("publish"), CHANNEL, st.just(1), st.booleans(), st.just(0)),
    st.tuples(st.just("pass"), SECONDS),
    st.tuples(st.just("pass"), SECONDS),
    st.tuples(st.sampled_from(["subscribe", "subscribe", "unsubscribe"]), CHANNEL),
    st.tuples(st.sampled_from(["breaks", "returns", "returns", "stall", "wake", "wake"])),
    st.tuples(st.just("origin breaks"), st.integers(0, 3)),
)


def run(world: World, events: list[tuple[object, ...]]) -> None:
    for event in events:
        match event:
            case ("publish", str(channel), int(count), bool(dropped), int(delay)):
                # What holds up marks holds them up for less than SLACK: nobody can tell older ones from new ones.
                slow = not world.ordered and channel != CONTROL
                world.publish(channel, count, dropped, delay * (0.3 if slow else 0.1))
            case ("pass", float(seconds)):
                world.pass_time(seconds)
            case ("subscribe", str(channel)):
                world.subscribe(channel)
            case ("unsubscribe", str(channel)):
                world.unsubscribe(channel)
            case ("breaks",):
                world.breaks()
            case ("returns",):
                world.returns()
            case ("stall",):
                world.stall(True)
            case ("wake",):
                world.stall(False)
            case ("origin breaks", int(arrived)):
                world.origin_breaks(arrived)
            case _:
                raise AssertionError(event)
    world.end()


@settings(max_examples=150, deadline=None)
@given(st.booleans(), st.lists(EVENTS, min_size=10, max_size=60))
def test_what_is_confessed_is_what_was_missed(ordered: bool, events: list[tuple[object, ...]]) -> None:
    world = World(ordered, max_counters=1)
    run(world, events)
    confessed = world.tracking.lost - world.tracking.recanted
    assert world.surely <= confessed <= world.perhaps
    assert world.tracking.recanted == 0
    assert sum(gap.count for gap in world.tracking.take_gaps()) == world.tracking.lost


@settings(max_examples=100, deadline=None)
@given(st.booleans(), st.lists(EVENTS, min_size=10, max_size=60))
def test_what_is_confessed_is_exact_once_every_channel_has_a_place(
    ordered: bool, events: list[tuple[object, ...]]
) -> None:
    """The channels are subscribed, and something was heard on each, before anything goes wrong; and they stay."""
    world = World(ordered, max_counters=len(CHANNELS))
    for channel in CHANNELS:
        world.subscribe(channel)
    world.pass_time(1.0)
    for channel in CHANNELS:
        world.publish(channel, 1, False, 0.0)
    world.pass_time(1.0)
    run(world, [event for event in events if event[0] != "unsubscribe"])
    assert world.tracking.lost == world.surely == world.perhaps

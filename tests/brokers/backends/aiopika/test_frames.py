"""Messages as bytes, both ways; whatever the pieces are in which they come. pamqp is the other side."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Queue
from pamqp.frame import marshal, unmarshal
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from roomcast_brokers.backends.aiopika import frames
from roomcast_brokers.backends.aiopika.frames import CHANNEL, MAX_CONTENT, Method, Publications, Reader
from roomcast_brokers.errors import BrokerUnreachableError

NAMES = {b"a": "a", b"b": "b", "ü".encode(): "ü"}


def taken_apart(data: bytes) -> Iterator[tuple[int, Method]]:
    """The frames in ``data``, as pamqp reads them."""
    while data:
        size, channel, frame = unmarshal(data)
        yield channel, frame
        data = data[size:]


def delivery(
    key: str,
    payload: bytes,
    tag: int = 1,
    *,
    consumer: str = "me",
    exchange: str = "x",
    frame_max: int = 131_072,
    properties: Basic.Properties | None = None,
) -> bytes:
    """What a server sends for one message."""
    data = marshal(Basic.Deliver(consumer, tag, False, exchange, key), CHANNEL)
    data += marshal(ContentHeader(body_size=len(payload), properties=properties), CHANNEL)
    step = frame_max - 8
    for start in range(0, len(payload), step):
        data += marshal(ContentBody(payload[start : start + step]), CHANNEL)
    return data


class Told:
    """What a reader told."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.methods: list[tuple[int, Method]] = []
        self.names = dict(NAMES)
        self.on_message: Callable[[], None] = lambda: None
        self.reader = Reader(
            self.names, self._delivered, lambda *told: self.methods.append(told), consumer="me", exchange="x"
        )

    def _delivered(self, channel: str, payload: bytes) -> None:
        self.messages.append((channel, payload))
        self.on_message()


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("size", [0, 1, 4_088, 4_089, 8_176, 20_000])
def test_a_message_is_written_as_pamqp_reads_it(size: int, persistent: bool) -> None:
    payload = bytes(range(256)) * (size // 256) + b"\xce" * (size % 256)
    publications = Publications("x", persistent=persistent, frame_max=4_096)
    for _ in range(2):  # the second time by what was remembered
        (first, publish), (second, header), *bodies = taken_apart(publications.message("ü", payload))
        assert isinstance(publish, Basic.Publish)
        assert isinstance(header, ContentHeader)
        assert (publish.exchange, publish.routing_key, publish.mandatory) == ("x", "ü", False)
        assert (header.body_size, header.properties.delivery_mode) == (size, 2 if persistent else None)
        parts = [body.value for _, body in bodies if isinstance(body, ContentBody)]
        assert b"".join(parts) == payload
        assert all(0 < len(part) <= 4_088 for part in parts)
        assert {first, second, *(channel for channel, _ in bodies)} == {CHANNEL}


def test_heads_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MAX_REMEMBERED", 3)
    publications = Publications("x", persistent=False, frame_max=4_096)
    for number in range(10):
        publications.message(f"c{number}", b"")
    assert len(publications._heads) <= 3


STREAM = (
    delivery("a", b"one", 1)
    + delivery("ü", b"", 2)
    + marshal(Queue.BindOk(), CHANNEL)
    + delivery("nobody's", b"?" * 50, 3)
    + delivery("b", bytes(range(256)) * 80, 4, frame_max=4_096)
    + marshal(Heartbeat(), 0)
    + delivery("b", b"\xce", 5, properties=Basic.Properties(delivery_mode=2, headers={"x": "y"}))
    + delivery("a", b"sent to the queue itself", 6, exchange="")
    + delivery("a", b"of another consumer", 7, consumer="you")
    + marshal(Basic.Ack(9, True), CHANNEL)
    + delivery("a", b"last", 8)
)
MESSAGES = [
    ("a", b"one"),
    ("ü", b""),
    ("b", bytes(range(256)) * 80),
    ("b", b"\xce"),
    ("a", b"last"),
]


def check(told: Told) -> None:
    assert told.messages == MESSAGES
    assert [method.name for _, method in told.methods] == ["Queue.BindOk", "Heartbeat", "Basic.Ack"]
    assert [channel for channel, _ in told.methods] == [CHANNEL, 0, CHANNEL]
    assert told.reader.tag == 8


def test_all_at_once() -> None:
    told = Told()
    told.reader.feed(STREAM)
    check(told)


def test_byte_by_byte() -> None:
    told = Told()
    for at in range(len(STREAM)):
        told.reader.feed(STREAM[at : at + 1])
    check(told)


def test_in_whatever_pieces() -> None:
    chance = random.Random(3)
    for _ in range(300):
        told = Told()
        at = 0
        while at < len(STREAM):
            size = chance.choice((1, 7, 40, 500, 30_000))
            told.reader.feed(STREAM[at : at + size])
            at += size
        check(told)


def test_the_number_counts_only_when_the_message_is_complete() -> None:
    told = Told()
    data = delivery("a", b"x" * 10_000, 1, frame_max=4_096)
    told.reader.feed(data[:-1])
    assert (told.reader.tag, told.messages) == (0, [])
    told.reader.feed(data[-1:])
    assert told.reader.tag == 1


def test_what_is_unsubscribed_meanwhile_is_not_told() -> None:
    told = Told()
    told.on_message = told.names.clear
    told.reader.feed(delivery("a", b"told", 1) + delivery("a", b"not told", 2))
    assert told.messages == [("a", b"told")]
    told = Told()
    data = delivery("a", b"x" * 10_000, 1, frame_max=4_096)
    told.reader.feed(data[:9_000])
    told.names.clear()
    told.reader.feed(data[9_000:])
    assert (told.messages, told.reader.tag) == ([], 1)


def test_a_message_beyond_measure_is_thrown_away() -> None:
    told = Told()
    size = MAX_CONTENT + 1
    told.reader.feed(marshal(Basic.Deliver("me", 1, False, "x", "a"), CHANNEL))
    told.reader.feed(marshal(ContentHeader(body_size=size), CHANNEL))
    part = marshal(ContentBody(bytes(1_048_576)), CHANNEL)
    for _ in range(16):
        told.reader.feed(part)
    assert told.reader.tag == 0
    told.reader.feed(marshal(ContentBody(b"x"), CHANNEL) + delivery("a", b"next", 2))
    assert told.messages == [("a", b"next")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "does not speak AMQP"),
        (b"AMQP\x00\x00\x09\x01", "does not speak AMQP"),
        (b"\x01\x00\x01\xff\xff\xff\xff\x00", "does not speak AMQP"),
        (marshal(Channel.FlowOk(True), 1)[:-1] + b"\x00", "without an end"),
        (b"\x01\x00\x01\x00\x00\x00\x04\x00\x00\x00\x00\xce", "makes no sense"),
        (b"\x01\x00\x01\x00\x00\x00\x02\x00\x14\xce", "makes no sense"),
        (b"\x04\x00\x01\x00\x00\x00\x02\x00\x14\xce", "makes no sense"),
        (marshal(ContentBody(b"x"), 1), "belongs to nothing"),
        (marshal(ContentHeader(body_size=1), 1), "belongs to nothing"),
        (2 * marshal(Basic.Deliver("me", 1, False, "x", "a"), 1), "message within a message"),
        (2 * marshal(Basic.Deliver("you", 1, False, "y", "a"), 1), "message within a message"),
    ],
)
def test_nonsense_is_noticed(data: bytes, why: str) -> None:
    with pytest.raises(BrokerUnreachableError, match=why):
        Told().reader.feed(data)


def test_whatever_comes_it_raises_nothing_else() -> None:
    chance = random.Random(11)
    for _ in range(3_000):
        data = bytearray(STREAM)
        for _ in range(chance.randint(1, 5)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        told = Told()
        try:
            told.reader.feed(bytes(data))
        except BrokerUnreachableError:
            pass
        told = Told()
        frame = bytes(chance.randrange(256) for _ in range(chance.randint(0, 60)))
        kind = chance.choice((1, 2, 8))
        try:
            told.reader.feed(bytes([kind, 0, 1]) + len(frame).to_bytes(4) + frame + b"\xce")
        except BrokerUnreachableError:
            pass

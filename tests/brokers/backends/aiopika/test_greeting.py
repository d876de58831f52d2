"""The first words: each answered by the next, and every way in which a server may refuse."""

from __future__ import annotations

import pytest
from pamqp.commands import Channel, Connection
from pamqp.frame import marshal, unmarshal
from pamqp.header import ProtocolHeader
from pamqp.heartbeat import Heartbeat

from roomcast_brokers.backends.aiopika.frames import Method
from roomcast_brokers.backends.aiopika.greeting import (
    DEFAULT_FRAME_MAX,
    LEAST_FRAME_MAX,
    LONGEST_TEXT,
    Greeting,
    refusal,
)
from roomcast_brokers.backends.aiopika.location import parse
from roomcast_brokers.errors import BrokerUnreachableError


def read(data: bytes) -> list[Method]:
    found = []
    while data:
        size, channel, frame = unmarshal(data)
        assert channel == 0
        found.append(frame)
        data = data[size:]
    return found


def test_who_what_and_where() -> None:
    greeting = Greeting(parse("amqp://me:s3cret@h/chat?heartbeat=7&name=node-1"))
    assert greeting.begin() == ProtocolHeader().marshal()
    (start_ok,) = read(greeting.answer(Connection.Start(mechanisms="AMQPLAIN PLAIN")))
    assert isinstance(start_ok, Connection.StartOk)
    assert (start_ok.mechanism, start_ok.response) == ("PLAIN", "\0me\0s3cret")
    assert start_ok.client_properties["connection_name"] == "node-1"
    capabilities = start_ok.client_properties["capabilities"]
    assert isinstance(capabilities, dict)
    assert all(capabilities[name] for name in ("connection.blocked", "consumer_cancel_notify"))
    tune_ok, open_ = read(greeting.answer(Connection.Tune(2_047, 65_536, 60)))
    assert isinstance(tune_ok, Connection.TuneOk)
    assert isinstance(open_, Connection.Open)
    assert (tune_ok.channel_max, tune_ok.frame_max, tune_ok.heartbeat) == (2_047, 65_536, 7)
    assert open_.virtual_host == "chat"
    assert not greeting.done
    assert greeting.answer(Connection.OpenOk()) == b""
    assert (greeting.done, greeting.frame_max, greeting.heartbeat) == (True, 65_536, 7)


@pytest.mark.parametrize(("offered", "agreed"), [(0, DEFAULT_FRAME_MAX), (5, LEAST_FRAME_MAX), (2**20, 2**20)])
def test_sizes_of_frames(offered: int, agreed: int) -> None:
    greeting = Greeting(parse("amqp://h"))
    greeting.answer(Connection.Start())
    greeting.answer(Connection.Tune(0, offered, 60))
    assert greeting.frame_max == agreed


def test_by_certificate() -> None:
    greeting = Greeting(parse("amqps://h?auth=external"))
    with pytest.raises(BrokerUnreachableError, match="lets nobody in by EXTERNAL, but by PLAIN"):
        greeting.answer(Connection.Start(mechanisms="PLAIN"))
    (start_ok,) = read(greeting.answer(Connection.Start(mechanisms="PLAIN EXTERNAL")))
    assert isinstance(start_ok, Connection.StartOk)
    assert (start_ok.mechanism, start_ok.response) == ("EXTERNAL", "")


@pytest.mark.parametrize(
    ("code", "text", "told"),
    [
        (403, "ACCESS_REFUSED - Login was refused", "refuses the user or the password: ACCESS_REFUSED"),
        (530, "NOT_ALLOWED - vhost chat not found", "refuses the virtual host: NOT_ALLOWED"),
        (320, "CONNECTION_FORCED", "closed the connection: CONNECTION_FORCED"),
        (None, "", "closed the connection: "),
    ],
)
def test_refusals(code: int | None, text: str, told: str) -> None:
    with pytest.raises(BrokerUnreachableError, match=told):
        Greeting(parse("amqp://h")).answer(Connection.Close(code, text, 0, 0))
    assert told in str(refusal(code, text))
    assert str(refusal(None, None)) == "RabbitMQ closed the connection: "


def test_a_long_speech_is_cut_short() -> None:
    assert len(str(refusal(320, "x" * 10_000))) < LONGEST_TEXT + 100


@pytest.mark.parametrize("method", [Connection.Tune(), Connection.OpenOk(), Channel.OpenOk(), Heartbeat()])
def test_what_does_not_belong_there(method: Method) -> None:
    with pytest.raises(BrokerUnreachableError, match=method.name):
        Greeting(parse("amqp://h")).answer(method)
    assert marshal(method, 0)

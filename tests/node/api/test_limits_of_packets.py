"""Limits on one Socket.IO packet: attachments, depth, numbers, ids and names."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api_client import Packet
from tests.support.inprocess import Node, Way, eventually
from tests.support.limits import AROUND, Watched, survives

pytestmark = pytest.mark.differs


async def judged(flavour: Way, packets: list[Packet], fits: bool, **options: Any) -> Watched:
    """Send the packets; within the limit one event arrives, beyond it the connection ends with ``parse error``."""
    watched = Watched(**options)
    async with Node(watched.sio, flavour) as node:
        client = await node.connect()
        await client.send(*packets)
        assert await survives(client) == fits
        if fits:
            assert len(watched.seen) == 1
        else:
            await eventually(lambda: watched.ended)
            assert (watched.seen, watched.ended) == ([], ["parse error"])
    return watched


def binary_event(count: int, size: int = 1) -> list[Packet]:
    places = ",".join(f'{{"_placeholder":true,"num":{number}}}' for number in range(count))
    return [f'45{count}-["e",{places}]', *[b"x" * size] * count]


@AROUND
@pytest.mark.parametrize(("options", "limit"), [({}, 10), ({"max_attachments": 3}, 3)])
async def test_max_attachments(flavour: Way, options: dict[str, Any], limit: int, offset: int) -> None:
    await judged(flavour, binary_event(limit + offset), offset <= 0, **options)


@AROUND
async def test_attachments_together(flavour: Way, offset: int) -> None:
    """Ten times ``max_payload``, whatever the number of attachments."""
    packets = binary_event(20, 500)
    packets[-1] = b"x" * (500 + offset)
    await judged(flavour, packets, offset <= 0, max_attachments=20, max_http_buffer_size=1000)


async def test_time_for_attachments(flavour: Way) -> None:
    watched = Watched(attachments_timeout=0.1)
    async with Node(watched.sio, flavour) as node:
        client = await node.connect()
        await client.send(binary_event(1)[0])
        await client.closed()
        await eventually(lambda: watched.ended)
        assert watched.ended == ["parse error"]
        await node.empty()


@AROUND
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
async def test_depth(flavour: Way, opening: str, closing: str, offset: int) -> None:
    """64 levels; the array of arguments is the first."""
    inner = 63 + offset
    await judged(flavour, ['42["e",' + opening * inner + "1" + closing * inner + "]"], offset <= 0)


async def test_a_bomb_of_brackets(flavour: Way) -> None:
    await judged(flavour, ['42["e",' + "[" * 200_000 + "]" * 200_000 + "]"], False)


@AROUND
@pytest.mark.parametrize("sign", ["", "-"])
async def test_digits_of_an_integer(flavour: Way, sign: str, offset: int) -> None:
    watched = await judged(flavour, [f'42["e",{sign}{"7" * (32 + offset)}]'], offset <= 0)
    if offset <= 0:
        assert watched.seen == [("e", int(sign + "7" * (32 + offset)))]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
async def test_numbers_that_are_not_finite(flavour: Way, number: str) -> None:
    await judged(flavour, [f'42["e",{number}]'], False)


@AROUND
async def test_ack_ids(flavour: Way, offset: int) -> None:
    number = 2**53 - 1 + offset
    async with Node(Watched().sio, flavour) as node:
        client = await node.connect()
        await client.send(f'42{number}["e",1]')
        if offset <= 0:
            assert await client.receive() == f"43{number}[1]"
        else:
            assert await client.rest() == []


@pytest.mark.parametrize("id", ["١", "1" * 100, "1.0", "+1"])
async def test_ack_ids_are_short_runs_of_ascii_digits(flavour: Way, id: str) -> None:
    await judged(flavour, [f'42{id}["e"]'], False)


@AROUND
@pytest.mark.parametrize("letter", ["x", "ü", "😀"])
async def test_length_of_an_event_name(flavour: Way, letter: str, offset: int) -> None:
    """256 bytes in UTF-8."""
    name = letter * ((256 + offset) // len(letter.encode()))
    name += "y" * (256 + offset - len(name.encode()))
    await judged(flavour, [f'42["{name}"]'], offset <= 0)


@pytest.mark.parametrize("name", ["\\u0000", "a\\u0001b", "\\u001f", "\\u007f", "\\ud800", "line\\n"])
async def test_letters_of_an_event_name(flavour: Way, name: str) -> None:
    await judged(flavour, [f'42["{name}"]'], False)

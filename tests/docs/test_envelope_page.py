"""docs/envelope.md agrees with the code: numbers, names, elements and their defaults, reasons, digests, its example."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from roomcast_brokers import codec, keys
from roomcast_brokers.channels import DEFAULT_CLUSTER, MAX_CLUSTER_LENGTH, SHARDS, room_digest
from roomcast_brokers.codec import EnvelopeCodec
from roomcast_brokers.contracts import MAX_MESSAGE_BYTES
from roomcast_brokers.messages import BODIES, CONTROL, Ask, Envelope, Kind, Maker, Mark, Operation, Origin, Outcome
from tests.support import raw_envelope as raw
from tests.support.tree import ROOT

TEXT = (ROOT / "docs" / "envelope.md").read_text("utf-8")


def rows(heading: str, first_column: str) -> list[list[str]]:
    """The cells of the table that begins with ``first_column``, in the part of the page under ``heading``."""
    part = re.split(rf"^#+ {heading}$", TEXT, maxsplit=1, flags=re.MULTILINE)[1]
    part = re.split(r"^#", part, maxsplit=1, flags=re.MULTILINE)[0]
    lines = iter(part.splitlines())
    for line in lines:
        if line.startswith(f"| {first_column} |"):
            break
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def elements(heading: str, nth: int = 0) -> list[str]:
    tables = re.split(rf"^#+ {heading}$", TEXT, maxsplit=1, flags=re.MULTILINE)[1].split("| element |")
    return re.findall(r"^\| `(\w+)` \|", tables[nth + 1].split("\n\n")[0], re.MULTILINE)


def test_kinds() -> None:
    expected = [
        [str(int(kind)), kind.name.lower().replace("_", " "), BODIES[kind].__name__, "yes" if kind in CONTROL else ""]
        for kind in Kind
    ]
    assert rows("Kinds", "kind") == expected


def test_outcomes() -> None:
    found = [row[:2] for row in rows("Answer", "outcome")]
    assert found == [[str(int(each)), each.name.lower().replace("_", " ")] for each in Outcome]


TYPES = {
    "int": "int",
    "str": "str",
    "bool": "bool",
    "bytes": "bin",
    "Room": "room",
    "Ask": "ask",
    "Ask | None": "ask or nil",
    "int | None": "int or nil",
    "tuple[bytes, ...]": "array of bin",
    "tuple[str, ...]": "array of str",
    "tuple[Room, ...]": "array of room",
    "tuple[Room, ...] | None": "array of room, or nil",
    "tuple[Mark, ...]": "array of mark",
    "dict[str, int]": "map of str to int",
}
DEFAULTS: list[tuple[Any, str]] = [
    (None, "nil"),
    (False, "false"),
    ("", '`""`'),
    ((), "empty"),
    (b"", "empty"),
    (0, "0"),
    (msgspec.NODEFAULT, ""),
]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    return next(name for value, name in DEFAULTS if type(value) is type(field.default) and value == field.default)


@pytest.mark.parametrize("body", [*BODIES.values(), Ask, Mark])
def test_bodies(body: type[msgspec.Struct]) -> None:
    found = [row[:3] for row in rows(body.__name__, "element")]
    assert found == [
        [f"`{field.name}`", TYPES[body.__annotations__[field.name]], default_of(field)]
        for field in msgspec.structs.fields(body)
    ]


def test_the_array_its_operations_and_their_makers() -> None:
    assert elements("Array") == list(codec._Array.__struct_fields__)
    assert set(elements("Array")) < set(Envelope.__struct_fields__)
    assert elements("Array", 1) == list(Operation.__struct_fields__)
    assert elements("Array", 2) == list(Maker.__struct_fields__)


def test_the_head() -> None:
    places = [tuple(map(int, row[0].split("–"))) for row in rows("Head", "bytes")]
    sizes = [place[-1] - place[0] + 1 for place in places]
    assert [place[0] for place in places] == [sum(sizes[:n]) for n in range(len(sizes))]
    assert sizes[:-2] == [2, 1, 1, 2, 2, 8, codec.EPOCH_BYTES]
    assert sum(sizes[:-2]) == codec.HEAD.size
    assert sizes[-2:] == [keys.KEY_ID_BYTES, keys.DIGEST_BYTES]
    cells = [row[1] for row in rows("Head", "bytes")]
    assert cells[0] == f"`{codec.MAGIC.decode()}`"
    assert cells[1].startswith(f"major version: {codec.MAJOR}.")
    assert cells[2].startswith(f"minor version: {codec.MINOR}.")
    assert cells[3].startswith(f"flags: {codec.SIGNED} signed, {codec.CONTROLLED} control;")


def test_reasons() -> None:
    assert [row[0] for row in rows("What a reader does", "reason")] == [f"`{reason}`" for reason in codec.REASONS]


def test_digests() -> None:
    for namespace, room, digest in rows("Channels", "namespace"):
        name = room.strip("`")
        key = name.strip('"') if name.startswith('"') else int(name)
        assert room_digest(namespace.strip("`"), key).hex() == digest.strip("`")


@pytest.mark.parametrize(
    "words",
    [
        f"at most {MAX_MESSAGE_BYTES:,} bytes",
        f"1 to {MAX_CLUSTER_LENGTH} of",
        f"by default `{DEFAULT_CLUSTER}`",
        f"from 0 to {SHARDS - 1}",
    ],
)
def test_constants(words: str) -> None:
    assert words in TEXT


def test_the_example() -> None:
    block = re.search(r"^```\n(7263.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    assert block is not None
    columns = [re.match(r"\s*((?:[0-9a-f]+ )*[0-9a-f]+)(?:\s{2,}|$)", line) for line in block[1].splitlines()]
    payload = bytes.fromhex("".join(column[1] for column in columns if column is not None))
    assert payload == raw.path_of("1.0/leave").read_bytes()
    read = EnvelopeCodec(Origin("n2ab", bytes(8)), "shop").decode("shop:node:n2ab", payload)
    assert read.operations[0].kind == Kind.LEAVE

"""Envelopes byte by byte, written from docs/envelope.md with ``struct`` and ``hmac``, and not with roomcast's codec.

``EXAMPLES`` are what the golden files in tests/vectors/envelope hold, one file each. To write those that are missing:
``python -m tests.support.raw_envelope``. A file that exists is never written again: a message that was valid once stays
valid, whatever becomes of the code.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "envelope"

TAG, EPOCH = b"n1-_", bytes.fromhex("00112233445566ff")
EMITTER, EMITTER_EPOCH = b"emit_008", bytes.fromhex("8899aabbccddeeff")
KEY = b"a key that everybody in the cluster has"
SENT_MS = 1_750_000_000_123

SIGNED, CONTROL = 1, 2

ALL = "shop:all"
SID = "n2abAbcdefghijklmn_-"


def pack(value: Any) -> bytes:
    """``value`` as MessagePack, in its shortest form."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, str):
        data = value.encode()
        return _sized(len(data), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + data
    if isinstance(value, bytes):
        return _sized(len(value), 0, 0, (0xC4, 0xC5, 0xC6)) + value
    if isinstance(value, list):
        return _sized(len(value), 0x90, 16, (None, 0xDC, 0xDD)) + b"".join(map(pack, value))
    items = b"".join(pack(key) + pack(each) for key, each in value.items())
    return _sized(len(value), 0x80, 16, (None, 0xDE, 0xDF)) + items


def _integer(value: int) -> bytes:
    if -32 <= value < 128:
        return struct.pack(">b" if value < 0 else ">B", value)
    unsigned, signed = ((0xCC, "B"), (0xCD, "H"), (0xCE, "I"), (0xCF, "Q")), ((0xD0, "b"), (0xD1, "h"), (0xD2, "i"))
    for code, form in unsigned if value >= 0 else signed:
        size = 8 * struct.calcsize(form)
        if -(1 << size - 1) <= value < (1 << size if value >= 0 else 0):
            return struct.pack(f">B{form}", code, value)
    return struct.pack(">Bq", 0xD3, value)


def _sized(length: int, short: int, below: int, codes: tuple[int | None, int, int]) -> bytes:
    if length < below:
        return bytes([short | length])
    for code, form, limit in zip(codes, "BHI", (1 << 8, 1 << 16, 1 << 32), strict=True):
        if code is not None and length < limit:
            return struct.pack(f">B{form}", code, length)
    raise ValueError(length)


def envelope(
    array: list[Any],
    *,
    flags: int = 0,
    version: tuple[int, int] = (1, 0),
    name: bytes = TAG,
    epoch: bytes = EPOCH,
    key: bytes | None = None,
) -> bytes:
    """The bytes of one message; signed if there is a ``key``."""
    flags |= 0 if key is None else SIGNED
    head = struct.pack(">2sBBHH8s8s", b"rc", *version, flags, 0, name, epoch)
    body = pack(array)
    if key is None:
        return head + body
    signature = hashlib.sha256(key).digest()[:8] + hmac.new(key, head + body, hashlib.sha256).digest()
    return head + signature + body


def room_channel(namespace: str, kind: str, name: str, cluster: str = "shop") -> str:
    scope = namespace.encode()
    digest = hashlib.blake2b(struct.pack(">I", len(scope)) + scope + (kind + name).encode(), digest_size=16)
    return f"{cluster}:room:{digest.hexdigest()}"


LOBBY, SEVEN = room_channel("/chat", "str", "lobby"), room_channel("/chat", "int", "7")


def data(channel: str, seq: int, *operations: list[Any]) -> list[Any]:
    return ["shop", channel, 41, seq, SENT_MS, list(operations)]


def control(kind: int, body: list[Any], channel: str = ALL) -> bytes:
    return envelope(["shop", channel, 0, 0, SENT_MS, [[kind, 0, None, body]]], flags=CONTROL)


def emit(rooms: list[str | int] | None, *, args: bytes = b'["said","hi"]', sids: tuple[str, ...] = ()) -> list[Any]:
    return [2, "/chat", "json", args, [], rooms, list(sids), [], [], None, False, False]


ATTACHED = [
    *[2, "/", "json", b'["file",{"_placeholder":true,"num":0}]', [bytes(range(256)) * 2]],
    *[None, [], ["muted", 5], [SID], [2**63 + 1, 30_000], True, False],
]
BEAT_CLIENTS = {"/": 3, "/chat": 70_000}
MARKS = [[ALL, 2**33, 0, 9, 1_500], [LOBBY, 41, 300, 305, 3_000]]

EXAMPLES: dict[str, bytes] = {
    "1.0/emit-all": envelope(data(ALL, 1, [1, 42, None, emit(None)])),
    "1.0/emit-room": envelope(data(LOBBY, 300, [1, 70_000, None, emit(["lobby"])])),
    "1.0/emit-numbered-room": envelope(data(SEVEN, 2, [1, 43, None, emit([7])])),
    "1.0/emit-list": envelope(data(ALL, 2, [1, 44, None, emit(["lobby", -(2**63), 2**64 - 1, SID], sids=(SID,))])),
    "1.0/emit-attachment-ask": envelope(data(ALL, 3, [1, 45, None, ATTACHED])),
    "1.0/emit-sid-or-room": envelope(data("shop:node:n2ab", 1, [1, 46, None, [*emit([], sids=(SID,))[:-1], True]])),
    "1.0/emit-long": envelope(data(ALL, 4, [1, 47, None, emit(None, args=b"[" + b" " * 70_000 + b"]")])),
    "1.0/batch": envelope(data(LOBBY, 301, *([1, 100 + n, None, emit(["lobby"])] for n in range(17)))),
    "1.0/forwarded": envelope(data(LOBBY, 318, [1, 48, ["n3__", EMITTER_EPOCH, 2**40], emit(["lobby"])])),
    "1.0/join": envelope(data("shop:node:n2ab", 2, [2, 49, None, ["/chat", SID, "lobby", [7, None]]])),
    "1.0/leave": envelope(data("shop:node:n2ab", 3, [3, 50, None, ["/chat", SID, 7]])),
    "1.0/close-room": envelope(data(LOBBY, 319, [4, 51, None, ["/chat", "lobby"]])),
    "1.0/disconnect": envelope(data("shop:node:n2ab", 4, [5, 52, None, ["/chat", SID, True]])),
    "1.0/ask": envelope(data("shop:node:n2ab", 5, [6, 53, None, [[8, 1_000], "/chat", SID]])),
    "1.0/answer": envelope(data("shop:node:n2ab", 6, [7, 54, None, [8, EPOCH, 0, "json", b'["ok"]', [b"\0"], ""]])),
    "1.0/answer-refused": envelope(data("shop:node:n2ab", 7, [7, 55, None, [9, EPOCH, 4, "", b"", [], "no: größer"]])),
    "1.0/answer-lost": envelope(data("shop:node:n2ab", 8, [7, 57, None, [0, EPOCH, 6, "", b"", [], ""]])),
    "1.0/hello": control(8, [12, "0.1.0"]),
    "1.0/beat": control(9, [7, 7_001, BEAT_CLIENTS, MARKS, 1]),
    "1.0/goodbye": control(10, ["draining"]),
    "1.0/marks-request": control(11, [[ALL, LOBBY]]),
    "1.0/marks": control(12, [MARKS]),
    "1.0/probe": control(13, [2**64 - 1], LOBBY),
    "1.0/emitter": envelope(data(ALL, 1, [1, 2, None, emit(None)]), name=EMITTER, epoch=EMITTER_EPOCH),
    "1.0/signed": envelope(data(LOBBY, 320, [1, 56, None, emit(["lobby"])]), key=KEY),
    "1.0/signed-beat": envelope(
        ["shop", ALL, 0, 0, SENT_MS, [[9, 0, None, [8, 8_001, {}, [], 0]]]], flags=CONTROL, key=KEY
    ),
    # What a later minor version may do: another flag, elements behind the last one everywhere, kinds nobody knows.
    "1.1/longer": envelope(
        [
            *data(
                LOBBY,
                321,
                [1, 57, ["n3__", EMITTER_EPOCH, 5, "more"], [*emit(["lobby"]), {"more": [None, True]}], "more"],
                [99, 58, None, {"not": ["even", "an", "array"]}],
                [2, 59, None, ["/chat", SID, "lobby", [7, None, "more"], "more"]],
            ),
            ["more"],
        ],
        flags=0x8000,
        version=(1, 1),
    ),
    "1.1/unknown-control": envelope(
        ["shop", ALL, 0, 0, SENT_MS, [[98, 0, None, b"more"]]], flags=CONTROL, version=(1, 1)
    ),
    "1.1/longer-beat": envelope(
        ["shop", ALL, 0, 0, SENT_MS, [[9, 0, None, [7, 7_001, {}, [[*MARKS[0], "more"]], 0, "more"]]]],
        flags=CONTROL,
        version=(1, 1),
    ),
    "2.0/anything": envelope([["nothing", "is", "known"]], version=(2, 0)),
}


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.bin"


def write_missing() -> None:
    """Write the golden files that do not exist yet."""
    for name, payload in EXAMPLES.items():
        path = path_of(name)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(payload)


if __name__ == "__main__":
    write_missing()

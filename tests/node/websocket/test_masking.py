from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.websocket.masking import REPEAT, unmask


def slowly(key: bytes, payload: bytes) -> bytes:
    """The formula of RFC 6455 section 5.3."""
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def test_the_example_of_the_rfc() -> None:
    assert unmask(bytes.fromhex("37fa213d"), bytes.fromhex("7f9f4d5158")) == b"Hello"


@given(key=st.binary(min_size=4, max_size=4), payload=st.binary(max_size=300))
def test_it_is_the_formula_and_its_own_inverse(key: bytes, payload: bytes) -> None:
    assert unmask(key, payload) == slowly(key, payload)
    assert unmask(key, unmask(key, payload)) == payload


@pytest.mark.parametrize("length", [0, 999, 1_000, 1_001, 1_002, 1_003, 70_001])
def test_every_length_around_the_change_of_method(length: int) -> None:
    payload = (bytes(range(256)) * (length // 256 + 1))[:length]
    assert unmask(b"\x00\x01\xfe\xff", payload) == slowly(b"\x00\x01\xfe\xff", payload)


@pytest.mark.parametrize("length", range(126))
def test_repeat_repeats_a_key(length: int) -> None:
    key = b"\x80\x00\x01\xff"
    repeated = (int.from_bytes(key, "little") * REPEAT[length]).to_bytes(length + 3 & -4, "little")
    assert repeated == key * ((length + 3) // 4)

"""Key rings sign with the first key, accept all, and never show one."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast_brokers.errors import KeyRingError
from roomcast_brokers.keys import KEY_ID_BYTES, SIGNATURE_BYTES, KeyRing


@given(st.binary(min_size=1, max_size=200), st.binary(max_size=200))
def test_a_signature_is_the_keys_id_and_hmac_sha256(key: bytes, data: bytes) -> None:
    expected = hashlib.sha256(key).digest()[:8] + hmac.digest(key, data, "sha256")
    assert KeyRing([key]).sign(data) == expected


@pytest.mark.parametrize("size", [63, 64, 65, 1_000])
def test_keys_of_any_length_sign(size: int) -> None:
    key = bytes(range(1, 64)) * (size // 63) + b"k" * (size % 63)
    assert KeyRing([key]).sign(b"data")[KEY_ID_BYTES:] == hmac.digest(key, b"data", "sha256")


def test_text_stands_for_its_utf_8() -> None:
    assert KeyRing(["größer"]).sign(b"data") == KeyRing(["größer".encode()]).sign(b"data")


def test_the_first_key_signs_and_every_key_verifies() -> None:
    ring = KeyRing(["new", b"old"])
    assert ring.sign(b"data") == KeyRing(["new"]).sign(b"data")
    for key in ("new", "old"):
        signature = KeyRing([key]).sign(b"data")
        assert len(signature) == SIGNATURE_BYTES
        assert ring.verify(signature, b"data")
        assert not ring.verify(signature, b"other data")
        assert ring.knows(signature[:KEY_ID_BYTES])


def test_a_key_that_is_not_in_the_ring_verifies_nothing() -> None:
    signature = KeyRing(["another"]).sign(b"data")
    ring = KeyRing(["ours"])
    assert not ring.knows(signature[:KEY_ID_BYTES])
    assert not ring.verify(signature, b"data")


def test_a_known_id_is_not_enough() -> None:
    ring = KeyRing(["ours"])
    signature = ring.sign(b"data")
    changed = bytes([signature[-1] ^ 1])
    for wrong in (signature[:-1] + changed, signature[:-1], signature + b"\0", signature[:KEY_ID_BYTES]):
        assert not ring.verify(wrong, b"data")


@pytest.mark.parametrize(
    "keys",
    [[], [""], ["good", b""], ["same", b"same"], "one key, no list", b"one key, no list", [7], [None], ["\ud800"]],
    ids=range(9),
)
def test_a_ring_that_cannot_sign_is_refused(keys: list[str | bytes]) -> None:
    with pytest.raises(KeyRingError):
        KeyRing(keys)


def test_no_key_is_shown() -> None:
    ring = KeyRing(["secret", "secret too"])
    assert repr(ring) == "<KeyRing of 2>"
    for keys in (["secret", "secret"], ["secret", ""], "secret", ["secret\ud800"]):
        with pytest.raises(KeyRingError) as caught:
            KeyRing(keys)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None

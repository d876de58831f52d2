from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from roomcast_brokers.backends.kombu.ends import body_of


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        (SimpleNamespace(body=b"x"), b"x"),
        (SimpleNamespace(body=b"x", errors=[]), b"x"),
        (SimpleNamespace(body=""), b""),
        (SimpleNamespace(body="\ud800"), b"?"),
        (SimpleNamespace(body=None), None),
        (SimpleNamespace(body={"json": 1}), None),
        (SimpleNamespace(body=b"x", errors=["it could not be decompressed"]), None),
    ],
)
def test_the_payload_of_a_message(message: Any, payload: bytes | None) -> None:
    assert body_of(message) == payload

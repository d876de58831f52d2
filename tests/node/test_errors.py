"""The tree of errors: whose fault, and what an ``except`` of the standard kind catches."""

from __future__ import annotations

import pytest

from roomcast.errors import PacketError, RoomcastError, SettingsError, UnencodableError


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (SettingsError("wrong"), (RoomcastError, ValueError)),
        (PacketError("json", "wrong"), (RoomcastError,)),
        (UnencodableError("wrong"), (RoomcastError, TypeError)),
    ],
)
def test_what_each_error_is(error: Exception, kinds: tuple[type[Exception], ...]) -> None:
    assert all(isinstance(error, kind) for kind in kinds)
    assert str(error) == "wrong"


def test_a_clients_fault_has_a_kind_for_counting() -> None:
    assert PacketError("json", "wrong").kind == "json"

"""The exceptions that applications catch and raise."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from roomcast import exceptions
from roomcast.errors import RoomcastError
from roomcast.exceptions import (
    BadNamespaceError,
    ConnectionError,
    ConnectionRefusedError,
    DisconnectedError,
    SocketIOError,
    TimeoutError,
    TooManyPendingError,
)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (ConnectionError("wrong"), builtins.ConnectionError),
        (ConnectionRefusedError("wrong"), builtins.ConnectionError),
        (TimeoutError("wrong"), builtins.TimeoutError),
        (BadNamespaceError("wrong"), Exception),
        (DisconnectedError("wrong"), Exception),
        (TooManyPendingError(3), Exception),
    ],
)
def test_what_each_error_is(error: Exception, builtin: type[Exception]) -> None:
    assert isinstance(error, SocketIOError)
    assert isinstance(error, RoomcastError)
    assert isinstance(error, builtin)
    assert str(error)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), {"message": "Connection rejected by server"}),
        (("no",), {"message": "no"}),
        ((404,), {"message": "404"}),
        (("no", {"code": 7}), {"message": "no", "data": {"code": 7}}),
        (("no", None), {"message": "no", "data": None}),
        (("no", 1, "two"), {"message": "no", "data": [1, "two"]}),
    ],
)
def test_what_a_refusal_tells_the_client(args: tuple[Any, ...], told: dict[str, Any]) -> None:
    assert ConnectionRefusedError(*args).error_args == told


def test_the_limit_is_named() -> None:
    assert "more than 3 answers" in str(TooManyPendingError(3))


def test_every_public_name_is_there() -> None:
    assert all(issubclass(getattr(exceptions, name), SocketIOError) for name in exceptions.__all__)

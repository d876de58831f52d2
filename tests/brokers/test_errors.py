from __future__ import annotations

import pytest

from roomcast_brokers import errors


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.BrokerURLError, ValueError),
        (errors.MissingExtraError, ImportError),
        (errors.AddressError, ValueError),
        (errors.RoomTypeError, TypeError),
        (errors.MessageTooLargeError, ValueError),
        (errors.BrokerUnreachableError, ConnectionError),
        (errors.BrokerClosedError, Exception),
    ],
)
def test_each_error_is_ours_and_what_the_language_would_raise(kind: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(kind, errors.BrokerError)
    assert issubclass(kind, builtin)


def test_too_large_says_both_numbers() -> None:
    error = errors.MessageTooLargeError(2_000_000, 1_040_000)
    assert (error.size, error.limit) == (2_000_000, 1_040_000)
    assert "2,000,000" in str(error)
    assert "1,040,000" in str(error)

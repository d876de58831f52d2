from __future__ import annotations

import pytest

from roomcast_emitter import errors
from roomcast_emitter.receipts import Outcome


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.NotDeliveredError(Outcome.DROPPED), ConnectionError),
        (errors.EmitterClosedError("closed"), Exception),
        (errors.NoBrokerError("which"), ValueError),
        (errors.OnlyWritesError("writes"), ValueError),
    ],
)
def test_each_error_is_ours_and_what_the_language_would_raise(error: Exception, builtin: type[Exception]) -> None:
    assert isinstance(error, errors.EmitterError)
    assert isinstance(error, builtin)


def test_not_delivered_says_what_is_known() -> None:
    error = errors.NotDeliveredError(Outcome.DROPPED)
    assert (error.outcome, str(error)) == (Outcome.DROPPED, "the broker is away: nobody got it")
    assert str(errors.NotDeliveredError(Outcome.UNCONFIRMED)) == "the broker is away: it may have arrived"

"""The errors of the emitter, and whose fault each of them is.

::

    EmitterError                            root: everything this package raises on its own account
    ├── NotDeliveredError (ConnectionError) nobody's here: the broker is away, and ``on_failure="raise"`` was asked for
    ├── EmitterClosedError                  the caller's: used after close()
    ├── NoBrokerError (ValueError)          the operator's: no broker is named
    └── OnlyWritesError (ValueError)        the caller's: a manager of this package was asked to listen

What is wrong with an event, a room or a URL is told by :mod:`roomcast_brokers.errors`, unchanged: ``UnencodableError``
(a ``TypeError``), ``RoomTypeError``, ``MessageTooLargeError``, ``BrokerURLError``, ``MissingExtraError`` and the like.
"""

from __future__ import annotations

from roomcast_emitter.receipts import Outcome


class EmitterError(Exception):
    """Root of the tree."""


class NotDeliveredError(EmitterError, ConnectionError):
    """The broker did not confirm that it has it. ``outcome`` says whether it surely has not (``DROPPED``), or whether
    nobody knows (``UNCONFIRMED``).
    """

    def __init__(self, outcome: Outcome) -> None:
        known = "nobody got it" if outcome is Outcome.DROPPED else "it may have arrived"
        super().__init__(f"the broker is away: {known}")
        self.outcome = outcome


class EmitterClosedError(EmitterError):
    """The emitter was used after ``close()``."""


class NoBrokerError(EmitterError, ValueError):
    """Neither the environment nor anybody else says which broker."""


class OnlyWritesError(EmitterError, ValueError):
    """A manager that listens needs a node: it is in the distribution ``roomcast``."""

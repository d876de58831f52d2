"""The errors of the emitter.

::

    EmitterError        root: everything this package raises on its own account

What a broker raises (:class:`roomcast_brokers.errors.BrokerError` and below) passes through unchanged.
"""

from __future__ import annotations


class EmitterError(Exception):
    """Root of the tree."""

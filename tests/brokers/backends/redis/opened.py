"""A broker on Redis that is open for the length of a ``with`` block, and its listener."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any

from roomcast_brokers.backends.redis import RedisBroker
from tests.support.opened import Opened
from tests.support.opened import opened as open_broker


def opened(url: str, **options: Any) -> AbstractAsyncContextManager[Opened[RedisBroker]]:
    return open_broker(RedisBroker(url, **options))

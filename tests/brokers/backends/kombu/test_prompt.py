from __future__ import annotations

from typing import Any

import pytest

from roomcast_brokers.backends.kombu import link
from roomcast_brokers.backends.kombu.prompt import PromptOutlet
from roomcast_brokers.errors import BrokerUnreachableError
from tests.brokers.backends.kombu.setups import setup


def test_what_is_published_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    outlet = PromptOutlet(setup("memory://"))
    outlet.connect()
    assert (outlet.accepted(), outlet.obstacle(), outlet.descriptor) == (0, None, None)
    outlet.publish([("a", b"1"), ("b", b"2")])
    outlet.publish([("a", b"3")])
    outlet.wait(0)
    outlet.check()
    assert (outlet.accepted(), outlet.accepted()) == (3, 0)
    channel: Any = outlet._link.channel
    monkeypatch.setattr(channel, "basic_publish", lambda *_, **__: 1 / 0)
    with pytest.raises(BrokerUnreachableError, match="ZeroDivisionError"):
        outlet.publish([("a", b"1")])
    assert outlet.accepted() == 0
    outlet.close(farewell=True)


def test_forgotten() -> None:
    outlet = PromptOutlet(setup("memory://"))
    outlet.connect()
    before = len(link._FORGOTTEN)
    outlet.forget()
    assert len(link._FORGOTTEN) == before + 1
    link._FORGOTTEN.pop()


def test_nobody_there() -> None:
    outlet = PromptOutlet(setup("redis://127.0.0.1:1"))
    with pytest.raises(BrokerUnreachableError, match="ConnectionError"):
        outlet.connect()
    outlet.close(farewell=False)

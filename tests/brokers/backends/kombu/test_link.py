from __future__ import annotations

from typing import Any

import pytest
from kombu.connection import Connection
from kombu.entity import Exchange, Queue
from kombu.exceptions import OperationalError
from kombu.transport import memory

from roomcast_brokers.backends.kombu import link
from roomcast_brokers.backends.kombu.link import Link, quietly, translated, unreachable
from roomcast_brokers.errors import BrokerClosedError, BrokerUnreachableError


class Refusing(memory.Transport):
    """A transport that reaches nobody, and counts."""

    attempts = 0

    def establish_connection(self) -> Any:
        Refusing.attempts += 1
        raise ConnectionRefusedError("nobody there")


class Beating(memory.Transport):
    """A transport with heartbeats."""

    beats = 0

    def heartbeat_check(self, connection: Any, rate: int = 2) -> None:
        assert connection is self
        Beating.beats += 1


class Prepared(Link):
    """Remembers what was there when it was prepared."""

    seen: tuple[Any, Any] | None = None

    def prepare(self) -> None:
        self.seen = (self.raw, self.channel)


def over(transport: Any) -> Link:
    return Link(lambda: Connection("memory://", transport=transport))


def test_it_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """kombu would wait for two seconds, and try again."""
    monkeypatch.setattr("kombu.utils.functional.sleep", lambda seconds: pytest.fail("kombu waits"))
    one = over(Refusing)
    before = Refusing.attempts
    with pytest.raises(BrokerUnreachableError, match="ConnectionRefusedError: nobody there"), translated():
        one.open()
    assert Refusing.attempts == before + 1
    one.close(farewell=False)


def test_what_was_connected_is_used_without_kombus_repairs() -> None:
    one = over(Beating)
    one.open()
    assert one.raw is one.channel.connection
    assert not one.drain(0)
    queue = Queue("link", Exchange("link", "fanout"), channel=one.channel)
    queue.declare()
    heard: list[bytes] = []
    queue.consume(consumer_tag="link", callback=lambda message: heard.append(message.body), no_ack=True)
    one.channel.basic_publish(one.channel.prepare_message(b"x"), exchange="link", routing_key="")
    assert one.drain(0)
    assert heard == [b"x"]
    one.heartbeat()
    assert Beating.beats == 1
    queue.delete()
    one.close(farewell=True)
    one.close(farewell=True)


def test_prepared_before_anything_is_done_with_it() -> None:
    one = Prepared(lambda: Connection("memory://"))
    one.open()
    assert one.seen == (one.raw, None)
    one.close(farewell=True)


def test_forgotten_is_kept_for_ever() -> None:
    one = over(memory.Transport)
    one.forget()  # never opened
    before = len(link._FORGOTTEN)
    one.open()
    connection = one._connection
    one.forget()
    one.close(farewell=True)
    assert link._FORGOTTEN[before:] == [connection]
    assert connection is not None
    assert connection.connected
    del link._FORGOTTEN[before:]
    connection.release()


def test_whatever_goes_wrong_is_one_thing() -> None:
    for error in (KeyError("queue"), OSError("cut"), AttributeError("None")):
        with pytest.raises(BrokerUnreachableError, match=type(error).__name__) as caught, translated():
            raise error
        assert caught.value.__cause__ is error
    with pytest.raises(BrokerClosedError), translated():
        raise BrokerClosedError("ours")
    with pytest.raises(KeyboardInterrupt), translated():
        raise KeyboardInterrupt


def test_what_kombu_has_wrapped_has_its_name_again() -> None:
    wrapped = OperationalError("refused")
    assert str(unreachable(wrapped)).endswith("OperationalError: refused")
    wrapped.__cause__ = ConnectionRefusedError("refused")
    assert str(unreachable(wrapped)).endswith("ConnectionRefusedError: refused")


def test_quietly() -> None:
    quietly(lambda: 1 / 0)
    with pytest.raises(SystemExit):
        quietly(lambda: (_ for _ in ()).throw(SystemExit))

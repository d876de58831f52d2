"""Class-based namespaces of the blocking server."""

from __future__ import annotations

from typing import Any

import pytest

from roomcast.drivers.blocking.namespace import Namespace
from tests.support.namespace_calls import CALLS, RecordingServer
from tests.support.played_server import PlayedServer
from tests.support.played_tasks import PlayedTasks


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize(("chosen", "expected"), [(None, "/mine"), ("/other", "/other")])
def test_the_namespace_is_filled_in(method: str, chosen: str | None, expected: str) -> None:
    positional, keywords = CALLS[method]
    namespace = Namespace("/mine")
    server = RecordingServer()
    namespace.server = server
    options = keywords if chosen is None else {**keywords, "namespace": chosen}
    getattr(namespace, method)(*positional, **options)
    server.check(method, positional, expected)


class Chat(Namespace):
    """Notes what it is called with."""

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace)
        self.told: list[Any] = []

    def on_connect(self, sid: str, environ: Any) -> None:
        self.told.append("connect")

    def on_disconnect(self, sid: str) -> None:
        self.told.append("disconnect")

    def on_say(self, sid: str, value: Any) -> Any:
        self.told.append(value)
        self.emit("said", value, to=sid)
        return [value]


def test_its_methods_handle_events(tasks: PlayedTasks) -> None:
    server = PlayedServer(tasks)
    chat = Chat("/chat")
    server.sio.register_namespace(chat)
    assert not chat.is_asyncio_based()
    client = server.joined("/chat")
    client.sends('42/chat,1["say",5]', '42/chat,2["unheard",5]')
    tasks.others()
    assert sorted(map(str, client.received())) == ['42/chat,["said",5]', "43/chat,1[[5]]", "43/chat,2[]"]
    client.sends("41/chat,")
    tasks.others()
    assert chat.told == ["connect", 5, "disconnect"]


def test_trigger_event_may_be_overridden(tasks: PlayedTasks) -> None:
    told: list[tuple[Any, ...]] = []

    class All(Namespace):
        def trigger_event(self, event: str, *args: Any) -> Any:
            told.append((event, *args[1:]))
            return event

    server = PlayedServer(tasks)
    server.sio.register_namespace(All())
    client = server.joined()
    client.sends('421["x",1]')
    assert client.received() == ['431["x"]']
    client.vanishes()
    tasks.others()
    assert [event for event, *_ in told] == ["connect", "x", "disconnect"]


def test_the_other_colour_is_refused(tasks: PlayedTasks) -> None:
    import roomcast

    with pytest.raises(ValueError, match="Not a valid namespace class for this server"):
        PlayedServer(tasks).sio.register_namespace(roomcast.AsyncNamespace("/x"))
    with pytest.raises(ValueError, match="Not a namespace instance"):
        PlayedServer(tasks).sio.register_namespace(Chat)

"""The methods of ``sio.manager`` that the tests of the API leave out: acknowledging by hand, logs, strangers."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import roomcast
from tests.support.counting import CountingLoop, Crowd, run, turns


def server(**options: Any) -> roomcast.AsyncServer:
    return roomcast.AsyncServer(namespaces="*", **options)


def test_rooms_and_strangers() -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = server()
        (peer,) = await Crowd(sio).join(1)
        ((sid, _),) = sio.manager.get_participants("/", None)
        await sio.manager.enter_room(sid, "/", "room")
        assert sio.rooms(sid) == [sid, "room"]
        await sio.manager.emit("hello", 1, "/", room="room", skip_sid="somebody")
        await turns()
        assert b"".join(peer.blocks()) == b'\x81\x0d42["hello",1]'
        await sio.manager.leave_room(sid, "/", "room")
        await sio.manager.leave_room("stranger", "/", "room")
        await sio.manager.close_room("room", "/")
        assert sio.rooms(sid) == [sid]
        assert await sio.manager.can_disconnect(sid, "/")
        assert not await sio.manager.can_disconnect("stranger", "/")
        await sio.manager.disconnect(sid, "/")
        assert not await sio.manager.can_disconnect(sid, "/")

    run(scenario)


@pytest.mark.parametrize("namespace", ["/", "/other"])
def test_acknowledging_in_the_name_of_a_client(namespace: str) -> None:
    async def scenario(loop: CountingLoop) -> None:
        sio = server()
        (peer,) = await Crowd(sio).join(1)
        if namespace != "/":
            peer.sends(f"40{namespace},")
            await turns()
        ((sid, _),) = sio.manager.get_participants(namespace, None)
        heard: list[Any] = []
        peer.blocks()
        await sio.manager.emit("question", None, namespace, room=sid, callback=lambda *args: heard.append(args))
        await turns()
        text = b"".join(peer.blocks()).decode("latin-1")
        ack_id = int(text[text.index("[") - 1])
        await sio.manager.trigger_callback("stranger", ack_id, [1])
        await sio.manager.trigger_callback(sid, ack_id, ["a", "b"])
        await sio.manager.trigger_callback(sid, ack_id, ["again"])
        await turns(2)
        assert heard == [("a", "b")]

    run(scenario)


def test_what_is_written_with_a_talkative_logger(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(loop: CountingLoop) -> None:
        logger = logging.getLogger("test.manager")
        sio = server(logger=logger)
        await Crowd(sio).join(1)
        ((sid, _),) = sio.manager.get_participants("/", None)
        caplog.clear()
        await sio.manager.enter_room(sid, "/", "lobby")
        await sio.manager.emit("news", 1, "/", room="lobby")
        await sio.manager.leave_room(sid, "/", "lobby")
        await sio.manager.close_room("lobby", "/")

    with caplog.at_level(logging.INFO, "test.manager"):
        run(scenario)
    written = " ".join(record.getMessage() for record in caplog.records)
    assert written.count("lobby") == 4
    assert 'emitting event "news" to lobby [/]' in written


async def test_a_manager_that_overrides_emit_is_asked() -> None:
    """By a class or by an instance: applications count and trace that way."""

    class Counting(roomcast.AsyncManager):
        emitted = 0

        async def emit(self, *args: Any, **options: Any) -> None:
            self.emitted += 1
            await super().emit(*args, **options)

    manager = Counting()
    sio = roomcast.AsyncServer(client_manager=manager)
    await sio.emit("e")
    assert manager.emitted == 1

    plain = roomcast.AsyncServer()
    seen: list[Any] = []

    async def trace(event: str, data: Any, **options: Any) -> None:
        seen.append((event, data, options["room"]))

    plain.manager.emit = trace  # type: ignore[method-assign, assignment]  # as a tracer does
    await plain.emit("e", 1, to="a")
    assert seen == [("e", 1, "a")]

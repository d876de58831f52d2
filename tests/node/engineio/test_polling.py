"""The polling transport of one session: one GET that waits, answered exactly once."""

from __future__ import annotations

import pytest

from roomcast.engineio.outbox import Flusher, Outbox
from roomcast.engineio.polling import Polling
from roomcast.engineio.request import Request
from roomcast.engineio.response import Response, poll
from roomcast.settings import Settings
from roomcast.websocket.frames import binary_frame, split_frames, text_frame
from tests.support.played import make_request
from tests.support.sinks import Counted, Listener


class Desk:
    """A polling transport with its outbox; ``answers`` are (which GET, body)."""

    def __init__(self) -> None:
        self.polling = Polling(self._render, split_frames)
        flusher = Flusher(Settings(), Counted(), Listener(), Listener(), Listener())
        self.outbox = self.polling.outbox = Outbox(flusher, self.polling, None, paused=True)
        self.rendered: list[Request] = []
        self.answers: list[tuple[int, bytes]] = []
        self.gets = 0

    def _render(self, request: Request, payload: bytes) -> Response:
        self.rendered.append(request)
        return poll(payload)

    def hold(self) -> Request:
        request = make_request()
        number = self.gets
        self.gets += 1
        self.polling.hold(request, lambda answer: self.answers.append((number, answer.body)))
        self.outbox.paused = False
        return request


@pytest.fixture
def desk() -> Desk:
    return Desk()


def is_waiting(desk: Desk) -> bool:
    return desk.polling.waiting


def is_paused(desk: Desk) -> bool:
    return desk.outbox.paused


def test_a_get_is_answered_once(desk: Desk) -> None:
    assert not is_waiting(desk)
    request = desk.hold()
    assert is_waiting(desk)
    assert desk.polling.release(b"6")
    assert not is_waiting(desk)
    assert not desk.polling.release(b"6")
    assert desk.answers == [(0, b"6")]
    assert desk.rendered == [request]


def test_while_no_get_waits_the_outbox_is_paused(desk: Desk) -> None:
    desk.hold()
    assert not is_paused(desk)
    desk.polling.release(b"6")
    assert is_paused(desk)
    desk.hold()
    desk.polling.forget()
    assert is_paused(desk)
    assert not is_waiting(desk)
    assert desk.answers == [(0, b"6")]


def test_a_block_of_frames_is_one_payload(desk: Desk) -> None:
    desk.hold()
    desk.polling.write(text_frame(b"4a") + binary_frame(b"\x01\x02\x03\x04") + text_frame(b"2"))
    assert desk.answers == [(0, b"4a\x1ebAQIDBA==\x1e2")]


def test_the_end_comes_behind_what_was_still_to_be_written(desk: Desk) -> None:
    assert not desk.polling.end(text_frame(b"4a"), b"1")
    desk.hold()
    assert desk.polling.end(text_frame(b"4b") + text_frame(b"4c"), b"1")
    desk.hold()
    assert desk.polling.end(b"", b"1")
    assert desk.answers == [(0, b"4b\x1e4c\x1e1"), (1, b"1")]


def test_once_the_session_is_carried_by_another_transport_its_outbox_is_not_paused(desk: Desk) -> None:
    desk.hold()
    desk.polling.outbox = None
    desk.polling.release(b"6")
    desk.polling.forget()
    assert not is_paused(desk)


def test_nothing_ever_waits_in_it(desk: Desk) -> None:
    assert desk.polling.get_write_buffer_size() == 0

"""The plain answers, header by header."""

from __future__ import annotations

import pytest

from roomcast.engineio import response
from roomcast.engineio.response import Response

TAG = ((b"x-roomcast-node", b"abcd"),)

ALL = [
    response.poll(b"6", extra=TAG),
    response.poll(b"6", encoding=b"gzip", extra=TAG),
    response.ok(extra=TAG),
    response.error(400, 1, "Session ID unknown", extra=TAG),
    response.empty(413, extra=TAG),
    response.unavailable(3, extra=TAG),
]


@pytest.mark.parametrize("made", ALL)
def test_every_answer_has_the_fixed_headers_its_length_and_what_was_added(made: Response) -> None:
    headers = dict(made.headers)
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert headers[b"content-length"] == b"%d" % len(made.body)
    assert headers[b"x-roomcast-node"] == b"abcd"
    assert all(name == name.lower() for name in headers)


def test_a_poll_is_text() -> None:
    made = response.poll(b"4hello")
    assert (made.status, made.body) == (200, b"4hello")
    assert dict(made.headers)[b"content-type"] == b"text/plain; charset=UTF-8"
    assert b"content-encoding" not in dict(made.headers)


def test_a_compressed_poll_says_how_and_varies() -> None:
    headers = response.poll(b"..", encoding=b"deflate").headers
    assert (b"content-encoding", b"deflate") in headers
    assert (b"vary", b"Accept-Encoding") in headers


def test_ok_is_what_clients_compare() -> None:
    made = response.ok()
    assert (made.status, made.body) == (200, b"ok")
    assert dict(made.headers)[b"content-type"] == b"text/html"


def test_an_error_is_json_without_spaces() -> None:
    made = response.error(400, 1, "Session ID unknown")
    assert made.body == b'{"code":1,"message":"Session ID unknown"}'
    assert (made.status, dict(made.headers)[b"content-type"]) == (400, b"application/json")


def test_a_full_node_says_when_to_come_back() -> None:
    made = response.unavailable(3)
    assert (made.status, dict(made.headers)[b"retry-after"]) == (503, b"3")


def test_a_refusal_in_words_has_its_length() -> None:
    made = response.text(426, "only version 13 is spoken", extra=TAG)
    assert (made.status, made.body) == (426, b"only version 13 is spoken")
    assert dict(made.headers)[b"content-length"] == b"25"
    assert made.headers[-1:] == TAG


def test_head_gets_the_headers_without_the_body() -> None:
    made = response.without_body(response.ok())
    assert (made.status, made.headers, made.body) == (200, response.ok().headers, b"")


def test_render_is_http() -> None:
    assert response.render(response.error(400, 3, "Bad request", extra=TAG)) == (
        b"HTTP/1.1 400 Bad Request\r\n"
        b"content-type: application/json\r\n"
        b"cache-control: no-store\r\n"
        b"x-content-type-options: nosniff\r\n"
        b"content-length: 34\r\n"
        b"x-roomcast-node: abcd\r\n"
        b"connection: close\r\n"
        b"\r\n"
        b'{"code":3,"message":"Bad request"}'
    )


def test_answers_are_values() -> None:
    assert response.ok() == response.ok()
    with pytest.raises(AttributeError):
        response.ok().status = 500  # type: ignore[misc]  # it is frozen, which is what is tested

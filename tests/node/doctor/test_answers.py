"""What an answer says about who gave it, and why."""

from __future__ import annotations

import pytest

from roomcast.doctor.answers import Answer, Outcome, Trouble, engine_code, engine_fault, speaker, summary

UNKNOWN = Answer(400, (), b'{"code":1,"message":"Session ID unknown"}')


def test_headers_of_one_name() -> None:
    answer = Answer(200, (("vary", "Origin"), ("set-cookie", "a=1"), ("set-cookie", "b=2")))
    assert (answer.header("set-cookie"), answer.all("set-cookie"), answer.header("date")) == (
        "a=1",
        ["a=1", "b=2"],
        None,
    )


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (UNKNOWN, (1, "Session ID unknown")),
        (Answer(400, (), b'{"code":3}'), (3, "")),
        (Answer(400, (), b'{"code":3,"message":"' + b"x" * 1000 + b'"}'), (3, "x" * 80)),
        (Answer(400, (), b"Bad Request"), None),
        (Answer(400, (), b'{"code":"1"}'), None),
        (Answer(200, (), UNKNOWN.body), None),
        (Trouble("cut"), None),
        (None, None),
    ],
)
def test_how_engine_io_refuses(outcome: Outcome | None, fault: tuple[int, str] | None) -> None:
    assert engine_fault(outcome) == fault
    assert engine_code(outcome) == (None if fault is None else fault[0])


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (Answer(404, (("server", "nginx/1.22.1"),)), "nginx/1.22.1"),
        (Answer(404, (("server", "<b>"),)), ""),
        (Answer(503, (), b"<h1>503</h1>\nNo server is available to handle this request.\n"), "HAProxy"),
        (Answer(404, (), b"404 page not found\n"), "traefik"),
        (Answer(404), ""),
    ],
)
def test_who_answered(answer: Answer, name: str) -> None:
    assert speaker(answer) == name


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (UNKNOWN, 'the server answers 400 "Session ID unknown"'),
        (Answer(504, (("server", "nginx"),)), "nginx answers 504"),
        (Trouble("silent", seconds=5), "no answer within 5.0 s"),
        (Trouble("tls", "wrong version number"), "TLS fails (wrong version number)"),
        (Trouble("cut", seconds=1.04), "the connection was cut after 1.0 s"),
    ],
)
def test_half_a_sentence(outcome: Outcome, text: str) -> None:
    assert summary(outcome) == text

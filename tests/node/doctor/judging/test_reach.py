"""The first look."""

from __future__ import annotations

import pytest

from roomcast.doctor.answers import Answer, Outcome, Trouble
from roomcast.doctor.findings import Level
from roomcast.doctor.judging.reach import FirstLook, TlsSeen, judge_path, judge_reach, judge_version
from roomcast.doctor.packets import Opened
from roomcast.doctor.target import parse_target

HTTP, HTTPS = parse_target("http://chat.example.com"), parse_target("https://chat.example.com")
OPENED = Opened("wA3x" + "a" * 16, ("websocket",), 25.0, 20.0, 1_000_000)
NGINX = ("server", "nginx/1.22.1")
GOOD = Answer(200, (NGINX, ("x-roomcast-node", "wA3x")), b"0{}", 0.004)


def test_it_answers() -> None:
    assert judge_reach(FirstLook(HTTP, GOOD, OPENED)).text == "answers in 4 ms, without TLS"
    here = judge_reach(FirstLook(parse_target("http://127.0.0.1:80"), GOOD, OPENED))
    assert (here.level, here.text) == (Level.OK, "answers in 4 ms, on this machine")
    tls = judge_reach(FirstLook(HTTPS, GOOD, OPENED, TlsSeen("TLSv1.3", 61.9)))
    assert (tls.level, tls.text) == (
        Level.OK,
        "answers in 4 ms over TLSv1.3, the certificate is valid for 61 days more",
    )
    assert judge_reach(FirstLook(HTTPS, GOOD, OPENED, TlsSeen("TLSv1.2"))).text == "answers in 4 ms over TLSv1.2"


def test_a_certificate_that_ends_soon() -> None:
    finding = judge_reach(FirstLook(HTTPS, GOOD, OPENED, TlsSeen("TLSv1.3", 1.5)))
    assert (finding.level, finding.text) == (Level.WARNING, "the certificate ends in 1 day")


def test_a_certificate_that_is_not_accepted() -> None:
    finding = judge_reach(FirstLook(HTTPS, GOOD, OPENED, TlsSeen("TLSv1.3", None, "certificate has expired")))
    assert finding.level is Level.WRONG
    assert finding.text == "the certificate of chat.example.com:443 is not accepted: certificate has expired"
    assert "--ca" in finding.advice


@pytest.mark.parametrize(
    ("outcome", "text", "advice"),
    [
        (Trouble("name"), "has no address", "DNS"),
        (Trouble("refused"), "nothing listens there", "start the balancer"),
        (Trouble("unreachable", "no route to host"), "no route to host", "route"),
        (Trouble("silent", seconds=5), "no answer within 5.0 s", "firewall"),
        (Trouble("tls", "wrong version number"), "wrong version number", "http://"),
        (Trouble("certificate", "expired"), "expired", "--ca"),
        (Trouble("cut", seconds=0.2), "cut after 0.2 s", "log of the balancer"),
        (Trouble("garbled", "x"), "does not speak HTTP/1.1", "port"),
        (Answer(400, (NGINX,), b"The plain HTTP request was sent to HTTPS port"), "speaks TLS", "https://"),
        (
            Answer(301, (NGINX, ("location", "https://me:pw@chat.example.com/socket.io/?EIO=4"))),
            "sends clients on to https://chat.example.com",
            "follow no redirection",
        ),
        (Answer(302, (("location", "/login"),)), "sends clients on to /login", "/login"),
        (Answer(302), "nowhere", "nowhere"),
    ],
)
def test_there_is_no_way(outcome: Outcome, text: str, advice: str) -> None:
    finding = judge_reach(FirstLook(HTTP, outcome))
    assert (finding.level, finding.check) == (Level.WRONG, "reachable")
    assert text in finding.text
    assert advice in finding.advice
    assert "pw" not in finding.text + finding.advice


def test_the_path_is_right() -> None:
    finding = judge_path(FirstLook(HTTP, GOOD, OPENED))
    assert (finding.level, finding.text) == (Level.OK, "/socket.io/ is Engine.IO 4, answered through nginx/1.22.1")
    assert judge_path(FirstLook(HTTP, Answer(200), OPENED)).text == "/socket.io/ is Engine.IO 4"


def test_a_server_without_polling() -> None:
    off = Answer(400, (), b'{"code":0,"message":"Transport unknown"}')
    finding = judge_path(FirstLook(HTTP, off, OPENED))
    assert finding.level is Level.OK
    assert "without polling" in finding.text


@pytest.mark.parametrize(
    ("outcome", "text", "advice"),
    [
        (Answer(404, (NGINX,)), "nginx/1.22.1 answers 404, which is no Engine.IO", "socketio_path"),
        (Answer(200, (), b"<html>"), "the server answers 200, which is no Engine.IO", "proxy_pass"),
        (Answer(400, (), b'{"code":3,"message":"Bad request"}'), '400 "Bad request"', "query"),
        (Answer(400, (), b'{"code":5,"message":"Unsupported"}'), '400 "Unsupported"', "see its log"),
        (Answer(502, (NGINX,)), "the balancer reaches no node", "/readyz"),
        (Answer(503), "the balancer reaches no node", "/readyz"),
        (Answer(503, (("retry-after", "3"),)), "takes no more sessions", "max_sessions"),
    ],
)
def test_what_answers_is_not_engine_io(outcome: Outcome, text: str, advice: str) -> None:
    finding = judge_path(FirstLook(HTTP, outcome))
    assert (finding.level, finding.check) == (Level.WRONG, "path")
    assert text in finding.text
    assert advice in finding.advice


def test_it_is_somewhere_else() -> None:
    finding = judge_path(FirstLook(HTTP, Answer(404, (NGINX,)), elsewhere=("/ws/socket.io/",)))
    assert finding.text == "/socket.io/: nginx/1.22.1 answers 404; Engine.IO answers at /ws/socket.io/"
    assert 'path: "/ws/socket.io/"' in finding.advice


def test_without_an_answer_nobody_knows_the_path() -> None:
    assert judge_path(FirstLook(HTTP, Trouble("refused"))).level is Level.SKIPPED
    assert judge_version(FirstLook(HTTP, Trouble("refused")), []).level is Level.SKIPPED


def test_who_serves_there() -> None:
    finding = judge_version(FirstLook(HTTP, GOOD, OPENED), ["wA3x"])
    assert (finding.level, finding.text) == (Level.OK, "roomcast; it pings each 25 s and waits 20 s for the answer")
    stripped = FirstLook(HTTP, Answer(200, (NGINX,)), OPENED)
    assert judge_version(stripped, ["wA3x", "hQ0b", "wA3x"]).level is Level.WARNING
    other = judge_version(stripped, ["wA3x", "hQ0b", "Zz9_"])
    assert other.level is Level.OK
    assert "no node says" in other.text


def test_a_ping_interval_that_proxies_do_not_wait_for() -> None:
    slow = Opened(OPENED.sid, (), 90.0, 20.0, 1)
    assert judge_version(FirstLook(HTTP, GOOD, slow), []).level is Level.WARNING

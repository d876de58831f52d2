"""What a browser makes of the answers."""

from __future__ import annotations

import msgspec
import pytest

from roomcast.doctor.answers import Answer, Outcome
from roomcast.doctor.findings import Level
from roomcast.doctor.judging.origins import Asked, judge_origin
from roomcast.doctor.judging.websockets import SocketTry

APP = "https://app.example.com"
ALLOW, CREDENTIALS = ("access-control-allow-origin", APP), ("access-control-allow-credentials", "true")
GOOD = Answer(200, (ALLOW, CREDENTIALS))
REFUSED = Answer(400, (), b'{"code":3,"message":"Bad request"}')
OPEN = SocketTry(Answer(101), "open")
ASKED = Asked(APP, own=False, polling=GOOD, preflight=Answer(204, (ALLOW,)), socket=OPEN)


def test_they_may() -> None:
    finding = judge_origin(ASKED, needs_cookies=True)
    assert (finding.level, finding.text) == (Level.OK, f"pages of {APP} may connect")
    own = judge_origin(Asked("http://x", own=True, polling=Answer(200), preflight=None, socket=None))
    assert (own.level, own.text) == (Level.OK, "pages of this address itself may connect")
    wildcard = Answer(200, (("access-control-allow-origin", "*"),))
    assert judge_origin(msgspec.structs.replace(ASKED, polling=wildcard, preflight=wildcard)).level is Level.OK


def test_the_node_refuses_them() -> None:
    finding = judge_origin(msgspec.structs.replace(ASKED, polling=REFUSED))
    assert (finding.level, finding.text) == (Level.WRONG, f"pages of {APP} are refused: the node answers 400")
    assert finding.advice == f'name them: AsyncServer(cors_allowed_origins=["{APP}"])'


def test_the_node_does_not_know_its_own_address() -> None:
    finding = judge_origin(Asked("https://x", own=True, polling=REFUSED, preflight=None, socket=None))
    assert finding.level is Level.WARNING
    assert "X-Forwarded-Proto" in finding.advice


def test_a_proxy_refuses_them() -> None:
    finding = judge_origin(msgspec.structs.replace(ASKED, polling=Answer(403, (("server", "cloud"),))))
    assert "cloud answers 403" in finding.text


def test_only_the_websocket_is_refused() -> None:
    finding = judge_origin(msgspec.structs.replace(ASKED, socket=SocketTry(Answer(403), "refused")))
    assert finding.level is Level.WRONG
    assert "the WebSocket: the server answers 403" in finding.text


@pytest.mark.parametrize(
    ("headers", "cookies", "text"),
    [
        ((), False, "is missing"),
        ((ALLOW, ALLOW), False, "comes twice"),
        ((("access-control-allow-origin", f"{APP}, {APP}"),), False, "comes twice"),
        ((("access-control-allow-origin", "*"), CREDENTIALS), False, "not valid with cookies"),
        ((("access-control-allow-origin", "*"),), True, "not valid with cookies"),
        ((("access-control-allow-origin", "https://other"),), False, "names https://other"),
        ((ALLOW,), True, "Access-Control-Allow-Credentials is missing"),
    ],
)
def test_browsers_hide_the_answers(headers: tuple[tuple[str, str], ...], cookies: bool, text: str) -> None:
    finding = judge_origin(msgspec.structs.replace(ASKED, polling=Answer(200, headers)), cookies)
    assert finding.level is Level.WRONG
    assert text in finding.text


@pytest.mark.parametrize("preflight", [Answer(405), Answer(204), Answer(204, (ALLOW, ALLOW))])
def test_headers_of_their_own_are_not_allowed(preflight: Outcome) -> None:
    finding = judge_origin(msgspec.structs.replace(ASKED, preflight=preflight))
    assert finding.level is Level.WARNING
    assert "extraHeaders" in finding.advice


def test_nobody_asked() -> None:
    assert judge_origin(None).level is Level.SKIPPED

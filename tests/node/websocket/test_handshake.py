from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.websocket.handshake import Accepted, Refused, accept

REQUEST = {
    b"host": b"example.com",
    b"upgrade": b"websocket",
    b"connection": b"Upgrade",
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"sec-websocket-version": b"13",
}
DEFLATE = {**REQUEST, b"sec-websocket-extensions": b"permessage-deflate; client_max_window_bits"}


def changed(**headers: bytes | None) -> dict[bytes, bytes]:
    """The good request with some headers replaced, or left out (None)."""
    request: dict[bytes, bytes | None] = {**REQUEST}
    request.update({name.replace("_", "-").encode(): value for name, value in headers.items()})
    return {name: value for name, value in request.items() if value is not None}


def test_the_example_of_the_rfc() -> None:
    assert accept("GET", "1.1", REQUEST.get) == Accepted(
        b"HTTP/1.1 101 Switching Protocols\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        b"\r\n",
        deflate=False,
    )


@given(nonce=st.binary(min_size=16, max_size=16))
def test_every_key_is_answered(nonce: bytes) -> None:
    key = base64.b64encode(nonce)
    expected = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    answer = accept("GET", "1.1", changed(sec_websocket_key=key).get)
    assert isinstance(answer, Accepted)
    assert b"\r\nSec-WebSocket-Accept: " + expected + b"\r\n" in answer.response


@pytest.mark.parametrize("upgrade", [b"websocket", b"WebSocket", b"h2c, websocket", b"h2c ,\tWEBSOCKET "])
@pytest.mark.parametrize("connection", [b"upgrade", b"Upgrade", b"keep-alive, Upgrade", b"UPGRADE ,keep-alive"])
def test_tokens_in_any_case_and_company(upgrade: bytes, connection: bytes) -> None:
    answer = accept("GET", "1.1", changed(upgrade=upgrade, connection=connection).get)
    assert isinstance(answer, Accepted)


def status(answer: Accepted | Refused) -> int:
    assert isinstance(answer, Refused)
    assert answer.reason
    return answer.status


@pytest.mark.parametrize("method", ["POST", "get", "HEAD", "CONNECT", ""])
def test_only_get(method: str) -> None:
    answer = accept(method, "1.1", REQUEST.get)
    assert status(answer) == 405
    assert answer == Refused(405, "a WebSocket handshake is a GET", ((b"Allow", b"GET"),))


@pytest.mark.parametrize("version", ["1.0", "2", "0.9", "", "1.10"])
def test_only_http_1_1(version: str) -> None:
    assert status(accept("GET", version, REQUEST.get)) == 505


@pytest.mark.parametrize("host", [None, b"", b"a.example, b.example"])
def test_exactly_one_host(host: bytes | None) -> None:
    assert status(accept("GET", "1.1", changed(host=host).get)) == 400


@pytest.mark.parametrize("value", [None, b"", b"websocket2", b"xwebsocket", b"web socket", b"websocket/13", b"h2c"])
def test_upgrade_names_websocket(value: bytes | None) -> None:
    answer = accept("GET", "1.1", changed(upgrade=value).get)
    assert status(answer) == 426
    assert isinstance(answer, Refused)
    assert answer.headers == ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"))


@pytest.mark.parametrize("value", [None, b"", b"keep-alive", b"Upgrades", b"no-upgrade", b"up grade"])
def test_connection_names_upgrade(value: bytes | None) -> None:
    assert status(accept("GET", "1.1", changed(connection=value).get)) == 400


@pytest.mark.parametrize("value", [None, b"", b"8", b"14", b"013", b"13, 13", b"13, 8", b"x"])
def test_only_version_13(value: bytes | None) -> None:
    answer = accept("GET", "1.1", changed(sec_websocket_version=value).get)
    assert status(answer) == 426
    assert isinstance(answer, Refused)
    assert answer.headers == ((b"Sec-WebSocket-Version", b"13"),)


@pytest.mark.parametrize(
    "key",
    [
        None,
        b"",
        base64.b64encode(b"x" * 15),
        base64.b64encode(b"x" * 17),
        base64.b64encode(b"x" * 18),
        b"dGhlIHNhbXBsZSBub25jZQ",
        b"dGhlIHNhbXBsZSBub25jZ===",
        b"dGhlIHNhbXBsZSBub25jZ-==",
        b"dGhlIHNhbXBsZSBub25jZQ==\n",
        b"dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
    ],
)
def test_the_key_is_16_bytes(key: bytes | None) -> None:
    assert status(accept("GET", "1.1", changed(sec_websocket_key=key).get)) == 400


def test_deflate_is_taken_only_when_it_is_on() -> None:
    off = accept("GET", "1.1", DEFLATE.get)
    assert isinstance(off, Accepted)
    assert not off.deflate
    assert b"Extensions" not in off.response
    on = accept("GET", "1.1", DEFLATE.get, deflate=True)
    assert isinstance(on, Accepted)
    assert on.deflate
    assert (
        b"\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        b"client_max_window_bits=12\r\n\r\n"
    ) in on.response


@pytest.mark.parametrize("offers", [None, b"", b"x-webkit-deflate-frame"])
def test_no_deflate_without_an_offer(offers: bytes | None) -> None:
    answer = accept("GET", "1.1", changed(sec_websocket_extensions=offers).get, deflate=True)
    assert answer == accept("GET", "1.1", REQUEST.get)


def test_extra_headers_are_sent() -> None:
    extra = [(b"Set-Cookie", b"io=abc; Path=/"), (b"X-Empty", b"")]
    answer = accept("GET", "1.1", REQUEST.get, extra_headers=extra)
    assert isinstance(answer, Accepted)
    assert answer.response.endswith(b"xOo=\r\nSet-Cookie: io=abc; Path=/\r\nX-Empty: \r\n\r\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"X", b"a\r\nY: b"), (b"X", b"a\nb"), (b"X", b"\0"), (b"", b"x"), (b"X Y", b"x"), (b"X\r\nY", b"")],
)
def test_extra_headers_cannot_break_the_answer_apart(name: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="not a response header"):
        accept("GET", "1.1", REQUEST.get, extra_headers=[(name, value)])

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest
from redis.credentials import CredentialProvider

from roomcast_brokers.backends.redis.connecting import Greeter, connect, keepalive_options, tls_context
from roomcast_brokers.backends.redis.layout import Server
from roomcast_brokers.backends.redis.location import Access, parse
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.services import RedisServer
from tests.support.stubborn_servers import answering

SOON = 0.2
"""Seconds that a test waits for what will not happen."""


async def ended(transport: asyncio.Transport) -> None:
    greeter = transport.get_protocol()
    assert isinstance(greeter, Greeter)
    await greeter.abandon()


async def reached(url: str, **options: Any) -> asyncio.Transport:
    location = parse(url, options)
    context = tls_context(location.access)
    return await connect(location.servers[0], location.access, context, master=True)


@pytest.fixture(params=["network", "unix", "tls"])
def door(request: pytest.FixtureRequest) -> str:
    server: RedisServer = request.getfixturevalue("secret" if request.param == "tls" else "shared")
    return server.unix_url if request.param == "unix" else server.url


async def test_greeted(door: str, shared: RedisServer, secret: RedisServer) -> None:
    transport = await reached(door, client_name="a-name-of-its-own")
    server = secret if door == secret.url else shared
    clients = await asyncio.to_thread(server.clients, "normal")
    assert "a-name-of-its-own" in [client["name"] for client in clients]
    await ended(transport)


class Provider(CredentialProvider):
    """Asks somebody for the password."""

    def __init__(self, *credentials: str) -> None:
        self.credentials = credentials

    async def get_credentials_async(self) -> Any:
        return self.credentials


@pytest.mark.parametrize("credentials", [("p@ss/word",), ("default", "p@ss/word")])
async def test_a_credential_provider_is_asked(credentials: tuple[str, ...], secret: RedisServer) -> None:
    provider = Provider(*credentials)
    options = {"ssl_ca_certs": str(secret.certificate), "credential_provider": provider}
    await ended(await reached(f"rediss://127.0.0.1:{secret.port}", **options))


@pytest.mark.parametrize(
    ("login", "why"),
    [("", "NOAUTH"), (":wrong@", "WRONGPASS"), ("nobody:wrong@", "WRONGPASS")],
)
async def test_who_may_not_enter(login: str, why: str, secret: RedisServer) -> None:
    with pytest.raises(BrokerUnreachableError, match=f"refuses: {why}") as caught:
        await reached(f"rediss://{login}127.0.0.1:{secret.port}", ssl_ca_certs=str(secret.certificate))
    assert "wrong" not in str(caught.value)


async def test_a_user_who_may_do_little_may_do_enough(shared: RedisServer) -> None:
    shared.command("ACL", "SETUSER", "modest", "on", ">pw", "resetchannels", "&*", "+publish", "+subscribe")
    await ended(await reached(f"redis://modest:pw@127.0.0.1:{shared.port}"))


async def test_a_certificate_that_nobody_vouches_for(secret: RedisServer) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await reached(f"rediss://:pw@127.0.0.1:{secret.port}")


async def test_a_server_without_tls(shared: RedisServer) -> None:
    with pytest.raises((OSError, BrokerUnreachableError)):
        await reached(f"rediss://127.0.0.1:{shared.port}", ssl_cert_reqs="none", socket_connect_timeout=SOON)


async def test_nobody_there() -> None:
    with pytest.raises(OSError):
        await reached("unix:///no/such/socket")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(ConnectionRefusedError):
            await reached(f"redis://127.0.0.1:{taken.getsockname()[1]}")


async def test_a_name_that_nobody_has() -> None:
    with pytest.raises(socket.gaierror):
        await reached("redis://no-such-host.invalid")


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (b"-ERR max number of clients reached\r\n", "refuses: ERR max number"),
        (b"", "closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no Redis server"),
    ],
)
async def test_a_server_that_closes_at_once(script: bytes, why: str) -> None:
    with answering(script, close=True) as port, pytest.raises(BrokerUnreachableError, match=why):
        await reached(f"redis://:pw@127.0.0.1:{port}")


async def test_a_server_that_says_nothing() -> None:
    with answering(b"") as port, pytest.raises(BrokerUnreachableError, match=r"within 0\.2 s"):
        await reached(f"redis://127.0.0.1:{port}", socket_connect_timeout=SOON)


async def test_given_up_while_being_made() -> None:
    with answering(b"") as port:
        making = asyncio.ensure_future(connect(Server("127.0.0.1", port), Access(), None))
        await asyncio.sleep(SOON)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making


async def test_the_system_looks_after_an_idle_connection(shared: RedisServer) -> None:
    transport = await reached(shared.url)
    sock = transport.get_extra_info("socket")
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    for option, value in keepalive_options().items():
        assert sock.getsockopt(socket.IPPROTO_TCP, option) == value
    await ended(transport)


def test_options_that_a_system_does_not_have_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
    monkeypatch.delattr(socket, "TCP_KEEPIDLE", raising=False)
    assert len(keepalive_options()) <= 2

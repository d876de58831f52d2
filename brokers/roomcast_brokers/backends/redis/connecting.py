"""Makes a connection in the event loop and greets the server on it: who one is, and by what name."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final, cast

import hiredis
from redis.asyncio.connection import SSLConnection

from roomcast_brokers.backends.redis.layout import Server
from roomcast_brokers.backends.redis.location import Access
from roomcast_brokers.backends.redis.replies import Command, check_greeting, greeting, pack, refusal
from roomcast_brokers.errors import BrokerUnreachableError

# Seconds. Whether a server is alive is found out above, by messages; these are the net below it, for processes that
# only write and for paths on which everything is swallowed: the kernel gives the connection up after about ten seconds.
KEEPALIVE_IDLE: Final = 5
KEEPALIVE_INTERVAL: Final = 2
KEEPALIVE_PROBES: Final = 3
UNACKNOWLEDGED: Final = 10


def keepalive_options() -> dict[int, int]:
    """Options of TCP for a connection to a server, as far as this system has them."""
    wanted = {
        "TCP_KEEPIDLE": KEEPALIVE_IDLE,
        "TCP_KEEPINTVL": KEEPALIVE_INTERVAL,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
        "TCP_USER_TIMEOUT": UNACKNOWLEDGED * 1_000,
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}


def tls_context(access: Access) -> ssl.SSLContext | None:
    """What redis-py makes of its ``ssl_…`` options. Reads files."""
    return None if access.tls is None else SSLConnection(**access.tls).ssl_context.get()


async def connect(
    server: Server, access: Access, context: ssl.SSLContext | None, *, master: bool = False
) -> asyncio.Transport:
    """A connection on which the greeting has been answered; it is for its taker to give it a protocol.

    Raises :class:`BrokerUnreachableError` or OSError, within the time that ``access`` says.
    """
    loop = asyncio.get_running_loop()
    commands = greeting(await _credentials(access), access.client_name, master=master)
    greeter = Greeter(loop, len(commands))
    try:
        async with asyncio.timeout(access.connect_timeout):
            if server.path:
                await loop.create_unix_connection(lambda: greeter, server.path)
            else:
                name = server.host if context is not None else None
                await loop.create_connection(
                    lambda: greeter, server.host, server.port, ssl=context, server_hostname=name
                )
            greeter.greet(commands)
            check_greeting(commands, await greeter.replies)
    except BaseException as error:
        await greeter.abandon()
        if isinstance(error, TimeoutError):
            raise BrokerUnreachableError(f"the server did not answer within {access.connect_timeout:g} s") from error
        raise
    return greeter.transport


async def _credentials(access: Access) -> tuple[str, ...]:
    if access.credential_provider is not None:
        return tuple(await access.credential_provider.get_credentials_async())
    if access.password is None:
        return ()
    return (access.username, access.password) if access.username else (access.password,)


class Greeter(asyncio.Protocol):
    """Sends the first commands of a connection and collects the answers."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expected: int) -> None:
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.replies: asyncio.Future[list[object]] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._expected = expected
        self._collected: list[object] = []
        self._reader = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        connected: socket.socket | None = transport.get_extra_info("socket")
        if connected is not None and connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in keepalive_options().items():
                connected.setsockopt(socket.IPPROTO_TCP, option, value)

    def greet(self, commands: list[Command]) -> None:
        self.transport.write(b"".join(pack(command) for command in commands))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._collected.append(reply)
        except hiredis.ProtocolError:
            self._fail(BrokerUnreachableError("what answers is no Redis server"))
        if len(self._collected) >= self._expected and not self.replies.done():
            self.replies.set_result(self._collected)

    def connection_lost(self, exc: Exception | None) -> None:
        refusals = [each for each in self._collected if isinstance(each, hiredis.ReplyError)]
        self._fail(refusal(refusals[0]) if refusals else lost(exc))  # "max number of clients reached", and closed
        if not self.ended.done():
            self.ended.set_result(None)

    async def abandon(self) -> None:
        """End, and return when the connection is closed."""
        self.replies.cancel()
        if self.transport is not None:
            self.transport.abort()
            await self.ended

    def _fail(self, error: BrokerUnreachableError) -> None:
        if not self.replies.done():
            self.replies.set_exception(error)
            self.replies.exception()  # nobody may be waiting for it


def lost(exc: Exception | None) -> BrokerUnreachableError:
    """Why a connection is gone, from what ``connection_lost`` was told."""
    error = BrokerUnreachableError(f"the connection broke: {exc}" if exc else "the server closed the connection")
    error.__cause__ = exc
    return error

"""Servers among the handlers of a Tornado application, with a page and a WebSocket of its own beside them."""

from __future__ import annotations

import asyncio
import signal
import ssl

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

import roomcast
from tests.interop.apps.served import HOST, PAGE, port, servers


class Page(RequestHandler):
    def get(self) -> None:
        self.write(PAGE.format(method=self.request.method, body=self.request.body.decode()))

    post = get


class Shout(WebSocketHandler):
    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message.upper())
        self.close()


async def main(tls: ssl.SSLContext | None = None) -> None:
    served = servers()
    ours = [(rf"/{path}(?:/.*)?", roomcast.get_tornado_handler(server)) for path, server in served.items()]
    application = Application([("/page", Page), ("/shout", Shout), *ours])
    for server in served.values():
        await server.start()
    listening = application.listen(port(), HOST, ssl_options=tls)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    for server in served.values():
        await server.shutdown()
    listening.stop()


if __name__ == "__main__":
    asyncio.run(main())

"""python-socketio's two clients behind one blocking face, so that a test of them is written once.

with PythonClient("asyncio") as client:
    client.connect(server.url, transports=["polling"])
    client.do("emit", "echo", (1, 2))
    assert client.hear("echo") == (1, 2)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import queue
import threading
import warnings
from collections.abc import Callable
from typing import Any, Self

import socketio

from tests.support.patience import PATIENCE

KINDS = ("asyncio", "threads")
RESERVED = ("connect", "connect_error", "disconnect")


class PythonClient:
    """One client. It hears everything: events of any namespace are kept until ``hear`` asks for them."""

    def __init__(self, kind: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop() if kind == "asyncio" else None
        self._thread = threading.Thread(target=self._loop.run_forever) if self._loop else None
        self._heard: queue.Queue[tuple[str, str, tuple[Any, ...]]] = queue.Queue()
        client_class = socketio.AsyncClient if self._loop else socketio.Client
        self.client: Any = client_class(handle_sigint=False, **{"reconnection": False, **options})
        self.answers: dict[str, Callable[..., Any]] = {}
        """Event name to the function that gives the acknowledgement; others are acknowledged with nothing."""

    def __enter__(self) -> Self:
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(TimeoutError):
            self.leave()
        if self._loop and self._thread:
            asyncio.run_coroutine_threadsafe(self._let_go(), self._loop).result(PATIENCE)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PATIENCE)
            self._loop.close()
        self.client = None
        with warnings.catch_warnings():
            # The clients leave sockets to the garbage collector; their warnings must not fail some later test.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    async def _let_go(self) -> None:
        """End what this client leaves running: it would end in the garbage collector, in the middle of a later test."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self.client.eio.http is not None:
            await self.client.eio.http.close()

    def connect(self, url: str, namespaces: tuple[str, ...] = ("/",), **options: Any) -> None:
        """Connect to the namespaces. Raises ``socketio.exceptions.ConnectionError`` if one of them refuses."""
        for namespace in namespaces:
            self.client.on("*", functools.partial(self._listen, namespace), namespace=namespace)
            for event in RESERVED:
                self.client.on(event, functools.partial(self._listen, namespace, event), namespace=namespace)
        self.do("connect", url, namespaces=list(namespaces), wait_timeout=PATIENCE, **options)

    def do(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method of the client, and wait for its end if it is a coroutine."""
        result = getattr(self.client, method)(*args, **options)
        if not inspect.isawaitable(result):
            return result
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(_until_done(result), self._loop).result(2 * PATIENCE)

    def leave(self) -> None:
        """Disconnect, but not while a packet is on its way: then the client says no goodbye, and hangs on polling."""
        if self.client.connected:
            self._wait_until_sent()
        self.do("disconnect")

    def _wait_until_sent(self) -> None:
        outgoing = self.client.eio.queue
        if self._loop:
            asyncio.run_coroutine_threadsafe(_until_done(outgoing.join()), self._loop).result(PATIENCE)
        else:
            with outgoing.all_tasks_done:
                outgoing.all_tasks_done.wait_for(lambda: not outgoing.unfinished_tasks, PATIENCE)

    def hear(self, event: str, namespace: str = "/") -> tuple[Any, ...]:
        """The arguments of the next such event; others before it are dropped."""
        heard: list[tuple[str, str, tuple[Any, ...]]] = []
        while True:
            try:
                heard.append(self._heard.get(timeout=PATIENCE))
            except queue.Empty:
                raise AssertionError(f"no {event!r} in {namespace!r}, only {heard}") from None
            name, where, args = heard[-1]
            if (name, where) == (event, namespace):
                return args

    def _listen(self, namespace: str, event: str, *args: Any) -> Any:
        self._heard.put((event, namespace, args))
        return self.answers[event](*args) if event in self.answers else None


async def _until_done(result: Any) -> Any:
    return await result

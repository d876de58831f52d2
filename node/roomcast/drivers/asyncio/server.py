"""``AsyncServer``: the asyncio server of the public API (python-api.md 1.3 to 1.7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from roomcast.core.api import ServerSurface, chosen_target
from roomcast.core.cluster_view import ClusterView
from roomcast.drivers.asyncio.bus import Bus
from roomcast.drivers.asyncio.engine_server import EngineFacade
from roomcast.drivers.asyncio.manager import AsyncManager
from roomcast.drivers.asyncio.namespace import AsyncNamespace
from roomcast.drivers.asyncio.runtime import Runtime
from roomcast.environment import with_broker_of_environment, with_environment
from roomcast.exposition.health import Readiness
from roomcast.joining import BrokerOptions, join, take_broker
from roomcast_brokers.contracts import AsyncBroker
from roomcast_brokers.registry import create

if TYPE_CHECKING:
    from roomcast.drivers.asyncio.metrics_listener import MetricsListener

OWN_EMIT = AsyncManager.emit
# How long (seconds) shutdown waits for handlers that still run.
HANDLER_PATIENCE = 5.0


def make_broker(wanted: BrokerOptions) -> AsyncBroker:
    """A broker that is not open yet."""
    return create(wanted.url, distribution="roomcast", **wanted.options)


class AsyncServer(ServerSurface):
    """A Socket.IO server for asyncio. All methods must be called in the thread of its event loop.

    ``logger`` is False (errors only), True (INFO) or a logger; ``serializer`` is ``"default"`` or ``"msgpack"``;
    ``json`` any object with ``dumps`` and ``loads``. With ``async_handlers=False`` the handlers of one client run one
    after another, and ``call`` is forbidden. Every field of :class:`roomcast.settings.Settings` and the Engine.IO
    options that users know are keywords too; unknown ones warn.

    With ``broker`` (a URL) the server is a node of the cluster of that name (``cluster``, by default ``socketio``),
    whose messages are signed if there are ``keys``; a ``client_manager`` with a broker, as ``AsyncRedisManager``, does
    the same.
    """

    namespace_class = AsyncNamespace

    def __init__(
        self,
        client_manager: AsyncManager | None = None,
        logger: bool | Any = False,
        json: Any = None,
        async_handlers: bool = True,
        namespaces: list[str] | str | None = None,
        **options: Any,
    ) -> None:
        serializer = options.pop("serializer", "default")
        always_connect = options.pop("always_connect", False)
        engineio_logger = options.pop("engineio_logger", None)
        async_mode = options.pop("async_mode", None)
        options = dict(with_broker_of_environment(options))
        broker = take_broker(client_manager, options)
        options = with_environment(options, None if broker is None else self)
        random_tag = options.get("tag") is None
        super().__init__(logger, serializer, json, async_handlers, always_connect, namespaces, options)
        self.runtime = Runtime(self.node.engine, self.counters, self.logger, self.node)
        self.runtime.in_order = not async_handlers
        self.eio = EngineFacade(self.runtime, engineio_logger, async_mode)
        self.manager = client_manager or AsyncManager()
        self.manager.set_server(self)
        self.manager_initialized = False
        self.bus = None if broker is None else Bus(self.node, *join(broker, random_tag, make_broker))
        self.runtime.bus = self.bus
        self.cluster = ClusterView(self.node, lambda: None if self.bus is None else self.bus.cluster)
        if self.bus is not None:
            self.bus.cluster.confessions.on_gap = self.cluster.gap_hooks

    @property
    def async_mode(self) -> str:
        """How it is served: ``"asgi"``."""
        return self.eio.async_mode

    def mounted(self, async_mode: str) -> None:
        """Told by the application that serves it."""
        self.eio.mounted(async_mode)

    async def start(self) -> None:
        """Bind to the running loop; done by itself with the first request where the ASGI server has no lifespan."""
        self.node.engine.accepting = True
        self.runtime.bind()
        if self.bus is not None and not self.bus.is_open:
            await self.bus.open(self.runtime)
        if not self.manager_initialized:
            self.manager_initialized = True
            self.manager.initialize()

    # --- emitting -----------------------------------------------------------------------------------------------------

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
        volatile: bool = False,
    ) -> None:
        """Send an event to a client, a room, a collection of those, or (``to=None``) everybody in the namespace.

        A tuple as ``data`` is several arguments. ``skip_sid`` is a sid or a collection. ``callback`` is called with
        each receiver's acknowledgement, as a task. ``volatile`` events are dropped for clients that are behind. Never
        waits. Raises UnencodableError (a TypeError) and ValueError before anything is sent.
        """
        manager, target = self.manager, room if to is None else to
        if getattr(manager.emit, "__func__", None) is OWN_EMIT:  # saves a coroutine, 1 µs of the 4 of an emit
            manager.emit_now(event, data, namespace or "/", target, skip_sid, callback, ignore_queue, volatile)
            return
        await manager.emit(
            event,
            data,
            namespace=namespace or "/",
            room=target,
            skip_sid=skip_sid,
            callback=callback,
            ignore_queue=ignore_queue,
            volatile=volatile,
        )

    async def send(
        self,
        data: Any,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Callable[..., Any] | None = None,
        ignore_queue: bool = False,
    ) -> None:
        """Emit the event ``message``."""
        await self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    async def call(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        sid: Any = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit an event to one client and wait for its acknowledgement: None, the value, or a tuple of several.

        Raises ``exceptions.TimeoutError`` after ``timeout`` seconds (None = never), ``exceptions.DisconnectedError`` at
        once when the client is not there or goes.
        """
        target = chosen_target(to, sid)
        if target is None:
            raise ValueError("Cannot use call() to broadcast.")
        if not self.async_handlers:
            raise RuntimeError("Cannot use call() when async_handlers is False.")
        answer: asyncio.Future[tuple[Any, ...]] = asyncio.get_running_loop().create_future()
        self.runtime.look_at_clock()
        if self.bus is None or ignore_queue:
            question, work = self.node.ask(event, data, answer, target, namespace or "/", timeout)
        else:
            question, work = self.bus.cluster.calls.ask(event, data, answer, target, None, namespace or "/", timeout)
        self.runtime.do(work)
        try:
            args = await answer
        finally:
            question.withdraw()
        return None if not args else args[0] if len(args) == 1 else args

    # --- rooms and sessions -------------------------------------------------------------------------------------------

    async def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        """Put a client into a room. ValueError for a sid's room or an unknown namespace, KeyError for an unknown
        client.
        """
        await self.manager.enter_room(sid, namespace or "/", room)

    async def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        """Take a client out of a room; never complains."""
        await self.manager.leave_room(sid, namespace or "/", room)

    async def close_room(self, room: Any, namespace: str | None = None) -> None:
        """Take everybody out of a room. ValueError for a sid."""
        await self.manager.close_room(room, namespace or "/")

    async def get_session(self, sid: str, namespace: str | None = None) -> Any:
        """The session dict of a client, the same object each time; KeyError for an unknown client."""
        return self.live_session(sid, namespace)

    async def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        """Replace the session of a client; KeyError for an unknown client."""
        self.store_session(sid, session, namespace)

    def session(self, sid: str, namespace: str | None = None) -> SessionContext:
        """``async with sio.session(sid) as session:`` gives the session, and saves it on leaving, also after an
        error.
        """
        return SessionContext(self, sid, namespace)

    async def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False, close: bool = False
    ) -> None:
        """Disconnect a client from a namespace; its connection stays, unless ``close``. Unknown sids are fine."""
        if self.verbose:
            self.logger.info("Disconnecting %s [%s]", sid, namespace or "/")
        self.runtime.look_at_clock()
        calls = None if self.bus is None or ignore_queue else self.bus.cluster.calls
        if calls is not None and calls.disconnect(sid, namespace or "/", close):
            return
        running = self.runtime.do(self.node.disconnect(sid, namespace or "/", close))
        if running is not None and running.task is not asyncio.current_task():
            await asyncio.wait({running.task})

    # --- the rest -----------------------------------------------------------------------------------------------------

    async def handle_request(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI request, whatever its path."""
        from roomcast.drivers.asyncio.asgi import serve_request

        await serve_request(self.runtime, scope, receive, send)

    def start_background_task(
        self, target: Callable[..., Coroutine[Any, Any, Any]], *args: Any, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Run a coroutine function as a task that the server keeps and, at shutdown, waits for a moment and cancels."""
        task = asyncio.ensure_future(target(*args, **kwargs))
        self.runtime.tasks.add(task)
        task.add_done_callback(self.runtime.tasks.discard)
        return task

    async def sleep(self, seconds: float = 0) -> None:
        """Wait, letting others run."""
        await asyncio.sleep(seconds)

    async def serve_metrics(self, port: int | None = None, host: str = "127.0.0.1") -> MetricsListener:
        """Serve ``/metrics``, ``/healthz`` and ``/readyz`` on a listener of their own, for who does not use ``roomcast
        run``.

        Takes ``port`` (None: 9464) or the first free one of the next 64; the listener that is returned knows which, and
        has ``close()``. It goes on during :meth:`shutdown`, so that the end can be watched.
        """
        # Who does not serve metrics needs no HTTP server in the process.
        from roomcast.drivers.asyncio.metrics_listener import DEFAULT_PORT, serve_metrics

        wanted = DEFAULT_PORT if port is None else port
        return await serve_metrics(wanted, host, counters=self.counters, readiness=self.readiness)

    def readiness(self) -> Readiness:
        """Whether this node should get clients, as ``/readyz`` tells it."""
        return self.runtime.readiness(self.runtime.loop is not None, not self.node.engine.accepting)

    async def shutdown(self) -> None:
        """Stop: no new clients, all are closed over ``drain_seconds`` so that they come back elsewhere, handlers end.

        Disconnect handlers get ``server shutting down``. May be called more than once.
        """
        if self.runtime.loop is not None:
            await self.runtime.drain(self.settings.drain_seconds)
            await self.runtime.close(HANDLER_PATIENCE)


class SessionContext:
    """Gives the session of a client and saves it."""

    def __init__(self, server: AsyncServer, sid: str, namespace: str | None) -> None:
        self._server = server
        self._sid = sid
        self._namespace = namespace
        self._session: Any = None

    async def __aenter__(self) -> Any:
        self._session = await self._server.get_session(self._sid, self._namespace)
        return self._session

    async def __aexit__(self, *_: object) -> None:
        await self._server.save_session(self._sid, self._session, self._namespace)

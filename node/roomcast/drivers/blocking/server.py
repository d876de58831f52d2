"""``Server``: the blocking server of the public API (python-api.md 1.3 to 1.7)."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from roomcast.core.api import ServerSurface, chosen_target
from roomcast.core.cluster_view import ClusterView
from roomcast.drivers.blocking.answers import Answer
from roomcast.drivers.blocking.bus import Bus
from roomcast.drivers.blocking.concurrency import Event, Queue, Task
from roomcast.drivers.blocking.manager import Manager
from roomcast.drivers.blocking.modes import concurrency_of
from roomcast.drivers.blocking.namespace import Namespace
from roomcast.drivers.blocking.runtime import Runtime
from roomcast.drivers.blocking.wsgi import Body, StartResponse, serve_request
from roomcast.environment import with_broker_of_environment, with_environment
from roomcast.joining import BrokerOptions, join, take_broker
from roomcast_brokers.contracts import Broker
from roomcast_brokers.registry import create_threaded

logger = logging.getLogger("roomcast.server")

# How long (seconds) shutdown waits for handlers that still run.
HANDLER_PATIENCE = 5.0


def make_broker(wanted: BrokerOptions) -> Broker:
    """A broker that is not open yet."""
    return create_threaded(wanted.url, distribution="roomcast", **wanted.options)


class Server(ServerSurface):
    """A Socket.IO server for threads and greenlets. All methods may be called from any of them.

    The options are those of :class:`AsyncServer`; ``handler_threads`` is how many handlers may run at once. Handlers
    run in tasks of the server's own and may wait. With ``async_handlers=False`` those of one client run one after
    another, and ``call`` is forbidden.
    """

    namespace_class = Namespace

    def __init__(
        self,
        client_manager: Manager | None = None,
        logger: bool | Any = False,
        json: Any = None,
        async_handlers: bool = True,
        namespaces: list[str] | str | None = None,
        **options: Any,
    ) -> None:
        serializer = options.pop("serializer", "default")
        always_connect = options.pop("always_connect", False)
        options.pop("engineio_logger", None)
        concurrency = concurrency_of(options.pop("async_mode", None))
        handlers = options.pop("handler_threads", concurrency.handlers)
        options = with_broker_of_environment(with_environment(options))
        random_tag = options.get("tag") is None
        broker = take_broker(client_manager, options)
        super().__init__(logger, serializer, json, async_handlers, always_connect, namespaces, options)
        self.concurrency = concurrency
        self.runtime = Runtime(self.node.engine, self.counters, self.logger, concurrency, handlers, self.node)
        self.runtime.in_order = not async_handlers
        self.manager = client_manager or Manager()
        self.manager.set_server(self)
        if broker is not None:
            self.runtime.bus = Bus(self.node, *join(broker, random_tag, make_broker), self.runtime)
        self.cluster = ClusterView(self.node, lambda: None if self.bus is None else self.bus.cluster)
        if self.bus is not None:
            self.bus.cluster.confessions.on_gap = self.cluster.gap_hooks

    @property
    def bus(self) -> Bus | None:
        """What joins it to its cluster; None for a server that stands alone."""
        return self.runtime.bus

    def start(self) -> None:
        """Join the cluster now; done by itself with the first request."""
        self.runtime.start()

    @property
    def async_mode(self) -> str:
        """How it is served: ``"threading"``."""
        return self.concurrency.async_mode

    def make_answer(self) -> Answer:
        """What a task waits for."""
        return Answer(self.concurrency.make_event())

    # --- emitting -----------------------------------------------------------------------------------------------------

    def emit(
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
        self.manager.emit(
            event,
            data,
            namespace=namespace or "/",
            room=chosen_target(to, room),
            skip_sid=skip_sid,
            callback=callback,
            ignore_queue=ignore_queue,
            volatile=volatile,
        )

    def send(self, data: Any, *args: Any, **more: Any) -> None:
        self.emit("message", data, *args, **more)

    def call(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        sid: Any = None,
        namespace: str | None = None,
        timeout: float | None = 60,
        ignore_queue: bool = False,
    ) -> Any:
        target = chosen_target(to, sid)
        if target is None:
            raise ValueError("Cannot use call() to broadcast.")
        if not self.async_handlers:
            raise RuntimeError("Cannot use call() when async_handlers is False.")
        answer = self.make_answer()
        with self.runtime.turn:
            if self.bus is None or ignore_queue:
                question, work = self.node.ask(event, data, answer, target, namespace or "/", timeout)
            else:
                calls = self.bus.cluster.calls
                question, work = calls.ask(event, data, answer, target, None, namespace or "/", timeout)
            self.runtime.do(work)
        try:
            args = answer.wait()
        finally:
            with self.runtime.turn:
                question.withdraw()
        return None if not args else args[0] if len(args) == 1 else args

    # --- rooms and sessions -------------------------------------------------------------------------------------------

    def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        self.manager.enter_room(sid, namespace or "/", room)

    def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None:
        self.manager.leave_room(sid, namespace or "/", room)

    def close_room(self, room: Any, namespace: str | None = None) -> None:
        self.manager.close_room(room, namespace or "/")

    def get_session(self, sid: str, namespace: str | None = None) -> Any:
        with self.runtime.turn:
            return self.live_session(sid, namespace)

    def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        with self.runtime.turn:
            self.store_session(sid, session, namespace)

    @contextlib.contextmanager
    def session(self, sid: str, namespace: str | None = None) -> Iterator[Any]:
        """``with sio.session(sid) as session:`` gives the session, and saves it on leaving, also after an error."""
        session = self.get_session(sid, namespace)
        try:
            yield session
        finally:
            self.save_session(sid, session, namespace)

    def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False, close: bool = False
    ) -> None:
        if self.verbose:
            self.logger.info("Disconnecting %s [%s]", sid, namespace or "/")
        with self.runtime.turn:
            calls = None if self.bus is None or ignore_queue else self.bus.cluster.calls
            if calls is None or not calls.disconnect(sid, namespace or "/", close):
                self.runtime.do(self.node.disconnect(sid, namespace or "/", close))

    # --- the rest -----------------------------------------------------------------------------------------------------

    def handle_request(self, environ: dict[str, Any], start_response: StartResponse) -> Body:
        """Serve one WSGI request, whatever its path."""
        return serve_request(self.runtime, environ, start_response)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        """Run a function as a task beside the caller; it has ``join()``."""
        return self.concurrency.start(target, *args, **kwargs)

    def sleep(self, seconds: float = 0) -> None:
        """Wait, letting others run."""
        self.concurrency.sleep(seconds)

    def create_event(self) -> Event:
        """An event of this async mode."""
        return self.concurrency.make_event()

    def create_queue(self) -> Queue:
        """A queue of this async mode."""
        return self.concurrency.make_queue()

    def shutdown(self) -> None:
        """Stop: no new clients, all are closed over ``drain_seconds`` so that they come back elsewhere, handlers end.

        Disconnect handlers get ``server shutting down``. May be called more than once.
        """
        if self.runtime.started:
            self.runtime.drain(self.settings.drain_seconds)
            self.runtime.close(HANDLER_PATIENCE)

"""``Server``: the blocking server of the public API (python-api.md 1.3 to 1.7)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from roomcast.core.api import ServerSurface, answer_of, chosen_target
from roomcast.core.contract import Callback
from roomcast.drivers.blocking.answers import Answer
from roomcast.drivers.blocking.bus import Bus
from roomcast.drivers.blocking.concurrency import Task
from roomcast.drivers.blocking.engine_server import EngineFacade
from roomcast.drivers.blocking.manager import Manager
from roomcast.drivers.blocking.modes import check_broker, concurrency_of
from roomcast.drivers.blocking.namespace import Namespace
from roomcast.drivers.blocking.runtime import Runtime, handler_tasks
from roomcast.drivers.blocking.wsgi import Body, StartResponse, serve_request
from roomcast.exposition.health import Readiness
from roomcast.joining import BrokerOptions, join, read_surroundings
from roomcast.metrics_port import DEFAULT_PORT
from roomcast_brokers.contracts import Broker
from roomcast_brokers.registry import create_threaded

if TYPE_CHECKING:
    from roomcast.drivers.blocking.metrics_listener import MetricsListener

# How long (seconds) shutdown waits for handlers that still run.
HANDLER_PATIENCE = 5.0


def make_broker(wanted: BrokerOptions) -> Broker:
    """A broker that is not open yet."""
    return create_threaded(wanted.url, distribution="roomcast", **wanted.options)


class Server(ServerSurface):
    """A Socket.IO server for threads and greenlets. All methods may be called from any of them.

    ``async_mode`` is ``"threading"``, ``"gevent"``, ``"gevent_uwsgi"`` or ``"eventlet"``; left out, it is what this
    process uses. Handlers run in tasks of the server's own and may wait; ``handler_threads`` is how many at once (64
    threads, or 10,000 greenlets). With ``async_handlers=False`` those of one client run one after another, and ``call``
    is forbidden. All other options are those of :class:`AsyncServer`.
    """

    namespace_class = Namespace
    manager_class = Manager

    def __init__(
        self, client_manager: Manager | None = None, logger: bool | Any = False, serializer: Any = "default",
        json: Any = None, async_handlers: bool = True, always_connect: bool = False,
        namespaces: list[str] | str | None = None, **options: Any,
    ) -> None:  # fmt: skip
        concurrency = concurrency_of(options.pop("async_mode", None))
        handlers, engineio_logger = handler_tasks(options, concurrency), options.pop("engineio_logger", None)
        options, broker, random_tag = read_surroundings(self, client_manager, options)
        super().__init__(logger, serializer, json, async_handlers, always_connect, namespaces, options)
        runtime = Runtime(self.node.engine, self.counters, self.logger, concurrency, handlers, self.node)
        self.runtime = runtime
        runtime.in_order, runtime.random_tag = not async_handlers, random_tag
        self.eio = EngineFacade(runtime, engineio_logger)
        self.manager: Manager = self._take_manager(client_manager)
        self.manager_initialized = False
        runtime.on_start = self._initialize
        if broker is not None:
            check_broker(concurrency.async_mode)
            self.bus = runtime.bus = Bus(self.node, *join(broker, random_tag, make_broker), runtime)
        self._view_cluster()

    @property
    def async_mode(self) -> str:
        """How it is served: ``"threading"``."""
        return self.runtime.concurrency.async_mode

    def start(self) -> None:
        self.runtime.start()

    def _initialize(self) -> None:
        if not self.manager_initialized:
            self.manager_initialized = True
            self.manager.initialize()

    @property
    def looking(self) -> contextlib.AbstractContextManager[Any]:
        return self.runtime.turn

    def make_answer(self) -> Answer:
        """What a task waits for."""
        return Answer(self.runtime.concurrency.make_event())

    def census(self) -> dict[str, int]:
        with self.runtime.turn:
            return {**super().census(), **self.runtime.census()}

    # --- emitting -----------------------------------------------------------------------------------------------------

    def emit(
        self, event: str, data: Any = None, to: Any = None, room: Any = None, skip_sid: Any = None,
        namespace: str | None = None, callback: Callback = None, ignore_queue: bool = False, volatile: bool = False,
    ) -> None:  # fmt: skip
        target, name = chosen_target(to, room), namespace or "/"
        more: dict[str, Any] = {"callback": callback, "ignore_queue": ignore_queue, "volatile": volatile}
        self.manager.emit(event, data, namespace=name, room=target, skip_sid=skip_sid, **more)

    def send(
        self, data: Any, to: Any = None, room: Any = None, skip_sid: Any = None, namespace: str | None = None,
        callback: Callback = None, ignore_queue: bool = False,
    ) -> None:  # fmt: skip
        self.emit("message", data, to, room, skip_sid, namespace, callback, ignore_queue)

    def call(
        self, event: str, data: Any = None, to: Any = None, sid: Any = None, namespace: str | None = None,
        timeout: float | None = 60, ignore_queue: bool = False,
    ) -> Any:  # fmt: skip
        answer, target = self.make_answer(), chosen_target(to, sid)
        self.runtime.awaken()  # or nobody would keep the time
        with self.runtime.turn:
            question, work = self._ask(event, data, answer, target, namespace, timeout, ignore_queue)
            self.runtime.do(work)
        try:
            return answer_of(answer.wait())
        finally:
            with self.runtime.turn:
                question.withdraw()

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
        session = self.get_session(sid, namespace)
        try:
            yield session
        finally:
            self.save_session(sid, session, namespace)

    def disconnect(
        self, sid: str, namespace: str | None = None, ignore_queue: bool = False, close: bool = False
    ) -> None:
        with self.runtime.turn:
            departures = self.runtime.do_all_but_departures(self._disconnect(sid, namespace, ignore_queue, close))
        for departure in departures:
            self.runtime.run_disconnect(departure)

    # --- the rest -----------------------------------------------------------------------------------------------------

    def handle_request(self, environ: dict[str, Any], start_response: StartResponse) -> Body:
        return serve_request(self.runtime, environ, start_response)

    def start_background_task(self, target: Callable[..., Any], *args: Any, **kwargs: Any) -> Task:
        return self.runtime.concurrency.start(target, *args, **kwargs)

    def sleep(self, seconds: float = 0) -> None:
        self.runtime.concurrency.sleep(seconds)

    def serve_metrics(self, port: int | None = None, host: str = "127.0.0.1") -> MetricsListener:
        # Who does not serve metrics needs no client of Prometheus.
        from roomcast.drivers.blocking.metrics_listener import serve_metrics

        self.start()  # who asks whether this node is ready has come to serve
        wanted = DEFAULT_PORT if port is None else port
        return serve_metrics(self.runtime, wanted, host, readiness=self.readiness)

    def readiness(self) -> Readiness:
        return self.runtime.readiness()

    def shutdown(self) -> None:
        self.runtime.stop(self.settings.drain_seconds, HANDLER_PATIENCE)

"""What both servers of the public API share: registering, looking things up, and the attributes that applications read.

Nothing here waits, so nothing of it is written twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, TypeVar, overload

from roomcast.core.cluster_calls import ClusterCalls
from roomcast.core.cluster_view import ClusterView
from roomcast.core.contract import Serving
from roomcast.core.handlers import HandlerTable
from roomcast.core.manager import ManagerSurface
from roomcast.core.namespaces import NamespaceSurface
from roomcast.core.node import Node
from roomcast.core.options import make_codec, read_options
from roomcast.core.questions import Question
from roomcast.core.trace import EventTrace
from roomcast.engineio.environ import Environ
from roomcast.errors import SettingsError
from roomcast.socketio.packet import Packet

F = TypeVar("F", bound=Callable[..., Any])


class Reason:
    """Why a client left, as disconnect handlers read it."""

    SERVER_DISCONNECT = "server disconnect"
    CLIENT_DISCONNECT = "client disconnect"
    PING_TIMEOUT = "ping timeout"
    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"


class Environs(Mapping[str, Environ]):
    """The environs of all connections, keyed by Engine.IO sid (``get_environ`` takes the Socket.IO sid)."""

    def __init__(self, node: Node) -> None:
        self._sessions = node.engine.sessions

    def __getitem__(self, eio_sid: str) -> Environ:
        upper: Any = self._sessions[eio_sid].upper
        environ: Environ = upper.environ
        return environ

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._sessions))  # other tasks may change it meanwhile

    def __len__(self) -> int:
        return len(self._sessions)


class ServerSurface(Serving):
    """The half of a server that is the same in every colour."""

    reason = Reason
    reserved_events: ClassVar[list[str]] = ["connect", "disconnect"]
    namespace_class: type[NamespaceSurface] = NamespaceSurface
    manager_class: type[ManagerSurface] = ManagerSurface

    def __init__(
        self,
        logger: bool | Any,
        serializer: Any,
        json: Any,
        async_handlers: bool,
        always_connect: bool,
        namespaces: list[str] | str | None,
        options: dict[str, Any],
    ) -> None:
        self.bus: Any = None
        self.logger = make_logger(logger, "socketio.server")
        self._asked = getattr(self.logger, "isEnabledFor", None)
        read = read_options(options)
        self.settings = read.settings
        self.async_handlers = async_handlers
        self.always_connect = always_connect
        self.not_handled = object()
        self.packet_class = Packet
        self._table = HandlerTable(namespaces)
        self.node = Node(
            read.settings,
            read.policy,
            make_codec(serializer, json, read.settings),
            self._table,
            tag=read.tag,
            cookie=read.cookie,
            always_connect=always_connect,
        )
        self.counters = self.node.counters
        if self.verbose:
            self.node.trace = EventTrace(self.logger)
        self.environ = Environs(self.node)

    @property
    def looking(self) -> AbstractContextManager[Any]:
        """Held by who reads tables that other tasks may be changing."""
        return nullcontext()

    @property
    def verbose(self) -> bool:
        """Whether events are logged: a question first, since the arguments of a log call cost more than it."""
        asked = self._asked
        return asked is None or bool(asked(logging.INFO))

    @property
    def handlers(self) -> dict[str, dict[str, Callable[..., Any]]]:
        """The registered functions by namespace and event; to be read, not written."""
        return self._table.handlers

    @property
    def namespace_handlers(self) -> dict[str, Any]:
        """The registered namespace objects by namespace; to be read, not written."""
        return self._table.namespace_handlers

    @property
    def namespaces(self) -> Any:
        """The namespaces that are accepted without a handler."""
        return self._table.namespaces

    def _take_manager(self, given: Any) -> Any:
        """The manager of this server: the one that was given, or a plain one. SettingsError for one of the other
        colour.
        """
        manager = self.manager_class() if given is None else given
        if isinstance(manager, ManagerSurface) and not isinstance(manager, self.manager_class):
            other, wanted = type(manager).__name__, self.manager_class.__name__
            raise SettingsError(f"{other} is not for this server, which takes a {wanted}")
        manager.set_server(self)
        return manager

    def _view_cluster(self) -> None:
        """Let the application ask for the other nodes, once it is known whether there can be any."""
        self.cluster = ClusterView(self.node, lambda: None if self.bus is None else self.bus.cluster)
        if self.bus is not None:
            self.bus.cluster.confessions.on_gap = self.cluster.gap_hooks

    # --- registering --------------------------------------------------------------------------------------------------

    @overload
    def on(self, event: str, handler: None = None, namespace: str | None = None) -> Callable[[F], F]: ...
    @overload
    def on(self, event: str, handler: Callable[..., Any], namespace: str | None = None) -> None: ...
    def on(
        self, event: str, handler: Callable[..., Any] | None = None, namespace: str | None = None
    ) -> Callable[[F], F] | None:
        """Register ``handler`` for an event of a namespace; without one, return a decorator that does."""
        if handler is not None:
            self._table.on(event, handler, namespace)
            return None

        def register(function: F) -> F:
            self._table.on(event, function, namespace)
            return function

        return register

    @overload
    def event(self, function: F, /) -> F: ...
    @overload
    def event(self, *, namespace: str | None = None) -> Callable[[F], F]: ...
    @overload
    def event(self, handler: None = None, namespace: str | None = None) -> Callable[[F], F]: ...
    def event(self, *args: Any, **kwargs: Any) -> Any:
        """Register a function for the event of its own name: ``@sio.event`` or ``@sio.event(namespace="/chat")``."""
        if len(args) == 1 and not kwargs and callable(args[0]):
            self._table.on(args[0].__name__, args[0], None)
            return args[0]

        def register(function: F) -> F:
            self.on(function.__name__, *args, **kwargs)(function)
            return function

        return register

    def register_namespace(self, namespace_handler: Any) -> None:
        """Register an object that handles all events of its namespace; ValueError for what is none, or of the other
        colour.
        """
        if not isinstance(namespace_handler, NamespaceSurface):
            raise ValueError("Not a namespace instance")
        if not isinstance(namespace_handler, self.namespace_class):
            raise ValueError("Not a valid namespace class for this server")
        namespace_handler.set_server(self)
        self._table.register_namespace(namespace_handler)

    # --- looking up ---------------------------------------------------------------------------------------------------

    def rooms(self, sid: str, namespace: str | None = None) -> list[Any]:
        with self.looking:
            socket = self.node.hub.find(sid, namespace or "/")
            return [] if socket is None else self.node.hub.rooms_of(socket)

    def transport(self, sid: str, namespace: str | None = None) -> str:
        """``"polling"`` or ``"websocket"``; KeyError for an unknown client."""
        return self.node.socket(sid, namespace or "/").client.session.transport

    def get_environ(self, sid: str, namespace: str | None = None) -> Environ | None:
        """The environ of the request that opened the client's connection; None for an unknown client."""
        socket = self.node.hub.find(sid, namespace or "/")
        return None if socket is None else socket.client.environ

    # --- what waits, without the waiting ------------------------------------------------------------------------------

    def _calls(self, ignore_queue: bool) -> ClusterCalls | None:
        """What reaches the cluster; None for this node alone."""
        calls: ClusterCalls | None = None if self.bus is None or ignore_queue else self.bus.calls
        return calls

    def _ask(
        self, event: str, data: Any, answer: Any, target: Any, namespace: str | None, timeout: float | None,
        ignore_queue: bool,
    ) -> tuple[Question, Any]:  # fmt: skip
        """Ask one client on behalf of ``answer``, which is settled in any case: (the question, work)."""
        if target is None:
            raise ValueError("Cannot use call() to broadcast.")
        if not self.async_handlers:
            raise RuntimeError("Cannot use call() when async_handlers is False.")
        calls = self._calls(ignore_queue)
        if calls is None:
            return self.node.ask(event, data, answer, target, namespace or "/", timeout)
        return calls.ask(event, data, answer, target, None, namespace or "/", timeout)

    def _disconnect(self, sid: str, namespace: str | None, ignore_queue: bool, close: bool) -> Any:
        """Disconnect a client, wherever it is; returns work."""
        if self.verbose:
            self.logger.info("Disconnecting %s [%s]", sid, namespace or "/")
        calls = self._calls(ignore_queue)
        if calls is not None and calls.disconnect(sid, namespace or "/", close):
            return None
        return self.node.disconnect(sid, namespace or "/", close)

    def live_session(self, sid: str, namespace: str | None) -> Any:
        """The session of a client, made on demand, the same object each time; KeyError for an unknown client."""
        socket = self.node.socket(sid, namespace or "/")
        if socket.session is None:
            socket.session = {}
        return socket.session

    def store_session(self, sid: str, session: Any, namespace: str | None) -> None:
        """Replace the session of a client; KeyError for an unknown client."""
        self.node.socket(sid, namespace or "/").session = session

    def census(self) -> dict[str, int]:
        """How many entries every table of this node has; without clients all are 0."""
        return self.node.census()

    def instrument(self, *_: Any, **__: Any) -> Any:
        """The Admin UI of Socket.IO; not there yet."""
        # Part of this API's surface: an application that calls it must learn why nothing happens.
        raise NotImplementedError(  # no issue asks for that protocol yet; README and docs/migrating.md say so
            "instrument() is not there yet: roomcast does not speak the Admin UI's protocol"
        )


def make_logger(option: bool | Any, name: str) -> Any:
    """The logger that a ``logger=`` option means: errors only, everything from INFO on, or the caller's own."""
    if not isinstance(option, bool):
        return option
    logger = logging.getLogger(name)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO if option else logging.ERROR)
        logger.addHandler(logging.StreamHandler())
    return logger


def is_verbose(logger: Any) -> bool:
    """Whether a logger, or what stands for one, writes what is said at INFO."""
    asked = getattr(logger, "isEnabledFor", None)
    return bool(asked(logging.INFO)) if asked is not None else True


def answer_of(args: tuple[Any, ...]) -> Any:
    """What ``call`` returns of an acknowledgement: None, the value, or a tuple of several."""
    return None if not args else args[0] if len(args) == 1 else args


def chosen_target(to: Any, room: Any) -> Any:
    """``to`` and ``room`` are one argument by two names. Only None means everybody (python-api.md 1.6, FIX)."""
    return room if to is None else to

"""Which function of the application runs for an event, and with which arguments (python-api.md 1.5).

Everything that depends on a function's signature or colour is found out when it is registered, not when it is called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import msgspec

from roomcast_brokers.arguments import RESERVED_EVENTS

RESERVED = frozenset({"connect", "disconnect"})
CATCH_ALL = "*"
# Positional arguments of the long forms: connect(sid, environ, auth) and disconnect(sid, reason).
LONG_FORM = {"connect": 3, "disconnect": 2}


class Call(msgspec.Struct, frozen=True):
    """A handler, ready to be called: ``fn(*prefix, sid, *args)``.

    ``prefix`` is the event and the namespace for those registered for all of them. ``asynchronous`` is True when
    calling ``fn`` gives a coroutine. ``takes`` is how many arguments behind the prefix it can take, None for any
    number.
    """

    fn: Callable[..., Any]
    asynchronous: bool
    prefix: tuple[str, ...] = ()
    takes: int | None = None

    def fit(self, *args: Any) -> tuple[Any, ...]:
        """The arguments of a connect or disconnect handler, cut to what its signature takes; the sid always goes in."""
        kept = args if self.takes is None else args[: max(1, self.takes)]
        return (*self.prefix, *kept)


def is_asynchronous(fn: Callable[..., Any]) -> bool:
    """Tell whether calling ``fn`` gives a coroutine: also for partials, bound methods and objects with ``__call__``."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004  # its colour is asked, not whether it can be called


def positional(fn: Callable[..., Any]) -> int | None:
    """How many positional arguments ``fn`` takes; None when any number, or when it cannot be told."""
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in kinds for parameter in parameters)


def make_call(fn: Callable[..., Any], prefix: tuple[str, ...] = ()) -> Call:
    """Resolve a function once."""
    takes = positional(fn)
    return Call(fn, is_asynchronous(fn), prefix, None if takes is None else takes - len(prefix))


class HandlerTable:
    """The handlers of one server. ``handlers`` and ``namespace_handlers`` are what applications read."""

    def __init__(self, namespaces: list[str] | tuple[str, ...] | str | None = None) -> None:
        """``namespaces`` are accepted although no handler names them; ``"*"`` accepts any, None means ``/``."""
        self.handlers: dict[str, dict[str, Callable[..., Any]]] = {}
        self.namespace_handlers: dict[str, Any] = {}
        self.namespaces = ["/"] if namespaces is None else namespaces
        self._calls: dict[tuple[str, str], Call] = {}
        self._exact: dict[str, dict[str, Call]] = {}

    def on(self, event: str, handler: Callable[..., Any], namespace: str | None) -> None:
        """Register a function; a second one for the same pair replaces the first."""
        namespace = namespace or "/"
        self.handlers.setdefault(namespace, {})[event] = handler
        prefix = () if event != CATCH_ALL else (CATCH_ALL,)
        if namespace == CATCH_ALL:
            prefix = (*prefix, CATCH_ALL)
        call = make_call(handler, prefix)
        self._calls[namespace, event] = call
        if not prefix and event not in RESERVED_EVENTS:
            self._exact.setdefault(namespace, {})[event] = call

    def register_namespace(self, obj: Any) -> None:
        """Register an object whose ``trigger_event(event, *args)`` takes every event of its ``namespace``."""
        self.namespace_handlers[obj.namespace] = obj

    def exact(self, namespace: str) -> dict[str, Call]:
        """The functions for single events of one namespace: the live table of the hot path, without reserved names.

        Of a namespace that only clients named nothing is kept: should it get a handler, :meth:`resolve` finds it.
        """
        return self._exact.setdefault(namespace, {}) if self.named(namespace) else {}

    def accepts(self, namespace: str) -> bool:
        """Whether clients may connect to it. A catch-all handler alone does not make names acceptable (1.3)."""
        if namespace == CATCH_ALL:
            return False
        return (
            namespace in self.handlers
            or namespace in self.namespace_handlers
            or self.namespaces == CATCH_ALL
            or namespace in self.namespaces
        )

    def named(self, namespace: str) -> bool:
        """Whether the application itself named this namespace, rather than a client under ``namespaces="*"``."""
        return (
            namespace in self.handlers
            or namespace in self.namespace_handlers
            or (self.namespaces != CATCH_ALL and namespace in self.namespaces)
        )

    def names(self) -> set[str]:
        """The namespaces that the application itself named."""
        listed = () if self.namespaces == CATCH_ALL else self.namespaces
        return {*self.handlers, *self.namespace_handlers, *listed} - {CATCH_ALL}

    def resolve(self, namespace: str, event: str) -> Call | None:
        """Find the handler by the precedence of python-api.md 1.5; None when there is none."""
        calls = self._calls
        everything = event not in RESERVED
        call = calls.get((namespace, event))
        if call is not None:
            return call
        if everything and (call := calls.get((namespace, CATCH_ALL))) is not None:
            return msgspec.structs.replace(call, prefix=(event,))
        if (call := calls.get((CATCH_ALL, event))) is not None:
            return msgspec.structs.replace(call, prefix=(namespace,))
        if everything and (call := calls.get((CATCH_ALL, CATCH_ALL))) is not None:
            return msgspec.structs.replace(call, prefix=(event, namespace))
        return self._resolve_class(namespace, event)

    def _resolve_class(self, namespace: str, event: str) -> Call | None:
        """The class namespaces; whatever their ``trigger_event`` is at this moment, for applications replace it."""
        obj = self.namespace_handlers.get(namespace)
        prefix: tuple[str, ...] = (event,)
        if obj is None:
            obj = self.namespace_handlers.get(CATCH_ALL)
            prefix = (event, namespace)
        if obj is None:
            return None
        return Call(obj.trigger_event, is_asynchronous(obj.trigger_event), prefix)

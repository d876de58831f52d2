"""The parts of class-based namespaces that need no waiting: names, and which method an event means."""

from __future__ import annotations

from typing import Any

from roomcast.core.contract import Emitting
from roomcast.core.handlers import LONG_FORM, positional


class NamespaceSurface(Emitting):
    """An object that handles the events of one namespace by methods named ``on_<event>``; it serves all clients.

    The methods of the server are here too, with the namespace filled in.
    """

    def __init__(self, namespace: str | None = None) -> None:
        """``namespace`` None is ``/``; ``"*"`` is every namespace that has nothing else."""
        self.namespace = namespace or "/"
        self.server: Any = None
        self._takes: dict[Any, int | None] = {}

    def set_server(self, server: Any) -> None:
        """Called by the server that it is registered with."""
        self.server = server

    def is_asyncio_based(self) -> bool:
        """Whether its methods are coroutine functions."""
        raise NotImplementedError  # it is the driver's

    def trigger_event(self, event: str, *args: Any) -> Any:
        """Call the method for an event; override it to handle all events in one place."""

    def rooms(self, sid: str, namespace: str | None = None) -> list[Any]:
        rooms: list[Any] = self.server.rooms(sid, self._target(namespace))
        return rooms

    def session(self, sid: str, namespace: str | None = None) -> Any:
        return self.server.session(sid, self._target(namespace))

    def _target(self, namespace: str | None) -> str:
        return namespace or self.namespace

    def _handler(self, event: str, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """The method for an event, None when there is none, and the arguments that its signature takes."""
        method = getattr(self, "on_" + (event or ""), None)
        if method is None or event not in LONG_FORM:
            return method, args
        function = getattr(method, "__func__", method)
        if function not in self._takes:
            self._takes[function] = positional(method)
        takes = self._takes[function]
        return method, args if takes is None else args[: max(1, takes)]

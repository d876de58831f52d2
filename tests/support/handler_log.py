"""Handlers of a played node (:mod:`tests.support.played`) that note what they were called with."""

from __future__ import annotations

from typing import Any

from tests.support.played import LATER, Stage


class HandlerLog:
    """Handles ``connect``, ``disconnect`` and ``x`` of one namespace; those in ``later`` end when the test says so."""

    def __init__(self, stage: Stage, *later: str, namespace: str = "/") -> None:
        self.calls: list[tuple[str, Any]] = []
        self._later = later
        stage.on("connect", self.connect, namespace)
        stage.on("disconnect", self.disconnect, namespace)
        stage.on("x", self.x, namespace)

    def _end(self, name: str, value: Any) -> Any:
        self.calls.append((name, value))
        return LATER if name in self._later else None

    def connect(self, sid: str, environ: Any, auth: Any) -> Any:
        return self._end("connect", auth)

    def disconnect(self, sid: str, reason: str) -> Any:
        return self._end("disconnect", reason)

    def x(self, sid: str, *args: Any) -> Any:
        return self._end("x", args)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

"""``/metrics``, ``/healthz`` and ``/readyz``, as whoever serves them answers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from prometheus_client import CollectorRegistry

from roomcast.exposition.health import Answer, Readiness, healthz, readyz
from roomcast.exposition.prometheus import page

Headers = tuple[tuple[bytes, bytes], ...]


class Page(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    headers: Headers
    body: bytes


class Pages:
    """The three pages of one server. ``readiness`` is asked for every ``/readyz``."""

    def __init__(self, registry: CollectorRegistry, readiness: Callable[[], Readiness]) -> None:
        self._registry = registry
        self._make: dict[str, Callable[[str], Page]] = {
            "/metrics": self._metrics,
            "/healthz": lambda _: _json(healthz()),
            "/readyz": lambda _: _json(readyz(readiness())),
        }

    def answer(self, method: str, path: str, accept: str = "") -> Page:
        """The answer to a request with this ``Accept`` header; without a body for HEAD."""
        make = self._make.get(path)
        if make is None:
            found = _page(404, "text/plain; charset=utf-8", b"/metrics, /healthz and /readyz are here\n")
        elif method not in {"GET", "HEAD"}:
            found = _page(405, "text/plain; charset=utf-8", b"read only\n", ((b"allow", b"GET, HEAD"),))
        else:
            found = make(accept)
        return msgspec.structs.replace(found, body=b"") if method == "HEAD" else found

    def _metrics(self, accept: str) -> Page:
        return _page(200, *page(self._registry, accept))


def _json(answer: Answer) -> Page:
    return _page(answer.status, "application/json", answer.body)


def _page(status: int, content_type: str, body: bytes, extra: Headers = ()) -> Page:
    headers = (
        (b"content-type", content_type.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    )
    return Page(status, headers + extra, body)

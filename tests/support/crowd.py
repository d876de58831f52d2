"""Many official clients in one process (``tests/interop/js/crowd.js``): what they went through, and what it means."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import IO, Any, Self

import msgspec

from roomcast_emitter import Emitter
from tests.support.js_client import CLIENTS, JS
from tests.support.patience import PATIENCE
from tests.support.services import wait_for

BACK = 6 * PATIENCE
"""Seconds until clients must be connected: they wait up to 1.5 s by themselves, longer after each failure."""


class Group(msgspec.Struct, frozen=True):
    """Clients that come to the same place in the same way: ``polling``, ``websocket`` or ``upgrade``."""

    name: str
    url: str
    transport: str
    count: int


class Status(msgspec.Struct, frozen=True):
    """How one client stands now. ``tag`` is its node's, ``last`` the number of the last tick that it heard."""

    group: str
    connected: bool
    tag: str | None
    transport: str | None
    last: int | None
    pings: int
    asked: int
    answered: int


class Happening(msgspec.Struct, frozen=True, array_like=True):
    """What happened to one client, at a monotonic time (seconds), on the node of that ``tag``."""

    at: float
    what: str
    tag: str | None
    more: dict[str, Any]

    @property
    def status(self) -> int | None:
        """The HTTP status behind it, where there is one."""
        found: int | None = self.more.get("status")
        return found


class Gap(msgspec.Struct, frozen=True, array_like=True):
    """Ticks that one client did not hear; ``within`` one connection, or (otherwise) while it was away."""

    first: int
    last: int
    within: bool


class Report(msgspec.Struct, frozen=True):
    """All that one client has gone through."""

    group: str
    transport: str
    history: list[Happening]
    last: int | None
    ticks: int
    gaps: list[Gap]
    repeats: int
    words: dict[str, list[int]]
    asked: int
    answered: int

    def happened(self, *what: str) -> list[Happening]:
        return [each for each in self.history if each.what in what]


class Ticker:
    """An emitter that tells everybody a number every ``seconds``, one higher each time, for a ``with`` block."""

    def __init__(self, broker: str, seconds: float) -> None:
        self.number = 0
        """The last one that was said."""
        self._emitter = Emitter(broker)
        self._seconds = seconds
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker")

    def _run(self) -> None:
        while not self._ending.wait(self._seconds):
            assert self._emitter.emit("tick", self.number + 1).delivered
            self.number += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._emitter.close()


class Crowd:
    """All clients of all groups. They ask for an echo every ``ask_ms`` milliseconds (None: never)."""

    def __init__(self, node: str, groups: Sequence[Group], ask_ms: int | None = None) -> None:
        self.groups = groups
        self.size = sum(group.count for group in groups)
        settings = {"client": CLIENTS["newest"], "groups": msgspec.to_builtins(groups), "ask_ms": ask_ms}
        self._process = subprocess.Popen(
            [node, "crowd.js", json.dumps(settings)],
            cwd=JS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _pipe(self._process.stdin).close()  # all say goodbye then
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        self._process.kill()
        self._process.stdin = None
        _, complaints = self._process.communicate()
        if error is not None:
            error.add_note(f"the clients wrote:\n{complaints.decode(errors='replace')[-4_000:]}")

    def _ask(self, what: str, **more: Any) -> bytes:
        stdin, stdout = _pipe(self._process.stdin), _pipe(self._process.stdout)
        stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"the clients ended: {_pipe(self._process.stderr).read().decode(errors='replace')[-4_000:]}"
        return line

    def status(self) -> list[Status]:
        return msgspec.json.decode(self._ask("status"), type=list[Status])

    def report(self) -> list[Report]:
        return msgspec.json.decode(self._ask("report"), type=list[Report])

    def emit(self, member: int, *args: Any) -> None:
        """Let one client (by its place in :meth:`status`) say something."""
        self._ask("emit", member=member, args=args)

    def until_there(self, elsewhere_than: Iterable[str] = ()) -> list[Status]:
        """Wait until all are connected, upgraders upgraded, and nobody is on those nodes."""
        wanted = {group.name: "polling" if group.transport == "polling" else "websocket" for group in self.groups}
        avoided = set(elsewhere_than)
        found: list[Status] = []

        def there() -> bool:
            found[:] = self.status()
            return len(found) == self.size and all(
                each.connected and each.transport == wanted[each.group] and each.tag not in avoided for each in found
            )

        wait_for(there, lambda: f"not all are there: {_summary(found)}", BACK)
        return found

    def until_heard(self, number: int) -> None:
        """Wait until all have heard this tick or a later one."""
        self.until(lambda each: (each.last or 0) >= number, f"hear tick {number}")

    def until_answered(self) -> None:
        """Wait until each has got an answer to something that it asked from now on."""
        asked = [each.asked for each in self.status()]
        wait_for(
            lambda: all(each.answered > before for each, before in zip(self.status(), asked, strict=True)),
            lambda: f"no answers: {_summary(self.status())}",
            BACK,
        )

    def until(self, holds: Callable[[Status], bool], what: str, patience: float = BACK) -> None:
        """Wait until something holds for every client."""
        late: list[Status] = []

        def all_do() -> bool:
            late[:] = [each for each in self.status() if not holds(each)]
            return not late

        wait_for(all_do, lambda: f"{len(late)} of {self.size} do not {what}: {late[:5]}", patience)


def _summary(found: Sequence[Status]) -> str:
    return str(Counter((each.group, each.tag, each.transport) for each in found))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe

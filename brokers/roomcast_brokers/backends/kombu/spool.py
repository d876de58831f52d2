"""kombu's filesystem transport, with two of its steps done so that nothing is lost and order is kept.

As it is in kombu, whoever reads may take a file away between its creation and its writing, and find nothing in it; and
files of the same millisecond come in any order. Here a file appears with its content, and its name begins with a time
in nanoseconds, which all processes of a machine share. The folder is read once for all that is in it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from queue import Empty
from secrets import token_hex
from time import monotonic_ns
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads

from roomcast_brokers.errors import BrokerURLError

_numbers: Final = count()


class SpoolChannel(filesystem.Channel):
    """What puts messages into the folder, and takes them out."""

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)  # type: ignore[no-untyped-call]  # as all of kombu's classes
        for folder in (self.data_folder_in, self.control_folder):
            Path(folder).mkdir(parents=True, exist_ok=True)
        self._me = token_hex(4)
        self._found: dict[str, deque[str]] = {}

    def _put(  # type: ignore[override]  # kombu's own classes name the message differently
        self, queue: str, message: Mapping[str, Any], **_: Any
    ) -> None:
        # os, not pathlib: half of the time that a message takes
        path = f"{self.data_folder_out}/{monotonic_ns():020d}-{next(_numbers):010d}-{self._me}.{queue}.msg"
        unfinished = f"{path}.unfinished"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with open(descriptor, "wb") as file:
            file.write(dumps(message).encode())
        os.rename(unfinished, path)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        found = self._found.setdefault(queue, deque())
        if not found:
            found.extend(self._look(f".{queue}.msg"))
        while found:
            path = f"{self.data_folder_in}/{found.popleft()}"
            try:
                with open(path, "rb") as file:
                    data = file.read()
                os.unlink(path)
                return loads(data)
            except (FileNotFoundError, ValueError):
                continue  # somebody has emptied the queue, or put something else into it
        raise Empty

    def _look(self, ending: str) -> list[str]:
        """The files of a queue, oldest first; not those that come meanwhile, of which an older one may be missed."""
        until = f"{monotonic_ns():020d}"
        return sorted(name for name in os.listdir(self.data_folder_in) if name.endswith(ending) and name < until)


class SpoolTransport(filesystem.Transport):
    """kombu's, with these channels."""

    Channel = SpoolChannel  # type: ignore[assignment]  # kombu declares no type for it


def in_folder(url: str, options: dict[str, Any]) -> None:
    """Everybody writes where everybody reads: into the folder that the URL names, or the options."""
    path = unquote(urlsplit(url).path)
    folder = options.setdefault("data_folder_in", path)
    if not folder.strip("/") or options.setdefault("data_folder_out", folder) != folder:
        raise BrokerURLError(
            "kombu's filesystem transport needs one folder, in which all nodes read and write: kombu+filesystem:///folder"
        )
    options.setdefault("control_folder", str(Path(folder, "control")))

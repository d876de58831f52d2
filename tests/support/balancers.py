"""The balancers of the distribution with the files that are shipped, unchanged but for addresses, ports and folders.

What must be replaced is counted: a line that is not there any more, or stands there twice, is an error and not a test
of something else.
"""

from __future__ import annotations

import json
import re
import signal
from abc import abstractmethod
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

import msgspec

from tests.support.patience import PATIENCE
from tests.support.programs import program
from tests.support.services import Process, free_port, wait_for
from tests.support.tree import ROOT

LOADBALANCER: Final = ROOT / "loadbalancer"
HEALTH: Final = "/balancer-health"
PATH: Final = "/socket.io/"
TAGS: Final = ("n001", "n002", "n003")
"""Of the nodes that nginx's file names, in its order."""
TEMPORARY: Final = "/tmp/nginx"  # where the shipped file of nginx writes


class Places(msgspec.Struct, frozen=True):
    """Where the nodes are: one address each, the same ports for all; and who knows these addresses by name."""

    addresses: Sequence[str]
    port: int
    metrics_port: int
    names_port: int


class Balancer(Process):
    """One balancer. ``url`` is where clients come."""

    name: str
    log_lines: re.Pattern[str]
    """A line of its access log, with the groups method, path and status."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.places = places
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.configure()
        self.spawn(*self.command())
        wait_for(self.answers, lambda: f"{self.name} does not serve\n{self.log()}")

    @abstractmethod
    def configure(self) -> None:
        """Write its file into its folder."""

    @abstractmethod
    def command(self) -> list[str]:
        """How it is started, in the foreground."""

    @abstractmethod
    def reload(self) -> None:
        """Let it read its file again, as an operator does; returns when the new one is in charge."""

    def answers(self) -> bool:
        """Whether its own health check is answered."""
        if not self.running:
            raise AssertionError(f"{self.name} ended at once\n{self.log()}")
        connection = HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", HEALTH)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def tags(self, times: int) -> set[str]:
        """The nodes that it sends so many new sessions to, one after another; each ends at once."""
        return {self._visit() for _ in range(times)}

    def _visit(self) -> str:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", f"{PATH}?EIO=4&transport=polling")
            answer = connection.getresponse()
            sid = json.loads(answer.read()[1:])["sid"]
            connection.request("POST", f"{PATH}?EIO=4&transport=polling&sid={sid}", body="1")
            connection.getresponse().read()
            return answer.headers["X-Roomcast-Node"]
        finally:
            connection.close()

    def written(self) -> str:
        """All that it has written so far."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def answered(self) -> list[tuple[str, str, int]]:
        """(method, path, status) of every request that it has written down."""
        found = self.log_lines.finditer(self.written())
        return [(each["method"], each["path"], int(each["status"])) for each in found]

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _count(self, pattern: str) -> int:
        return len(re.findall(pattern, self.written()))

    def close(self) -> None:
        """End it with its workers: those of a master that is killed stay behind."""
        if self.running:
            self.stop()
        super().close()


class HAProxy(Balancer):
    """HAProxy as the container runs it: a master, which at a reload starts a new worker."""

    name = "haproxy"
    log_lines = re.compile(
        r"^\S+ \[[^]]+\] \S+ \S+ \S+ (?P<status>-?\d+) .* (?P<method>[A-Z]+) (?P<path>\S+)$", re.MULTILINE
    )

    def configure(self) -> None:
        places = self.places
        text = (LOADBALANCER / "haproxy" / "haproxy.cfg").read_text()
        text = replaced(text, "/usr/local/etc/haproxy/", f"{LOADBALANCER / 'haproxy'}/")
        text = replaced(text, "bind :8080", f"bind 127.0.0.1:{self.port}")
        text = replaced(text, "127.0.0.11:53", f"127.0.0.1:{places.names_port}")
        text = replaced(text, "127.0.0.1:10000", f"127.0.0.1:{free_port()}")
        text = replaced(text, "node:8000", f"node:{places.port}")
        text = replaced(text, "port 9464", f"port {places.metrics_port}")
        (self.folder / "haproxy.cfg").write_text(text)

    def command(self) -> list[str]:
        return [program("haproxy", install="apt install haproxy"), "-W", "-f", str(self.folder / "haproxy.cfg")]

    def reload(self) -> None:
        loaded = self._count("Loading success")
        self._signal(signal.SIGUSR2)
        wait_for(lambda: self._count("Loading success") > loaded, self.log)
        wait_for(self.answers, self.log)

    def ups(self) -> int:
        """How often it has found a node ready."""
        return self._count(r"is UP, reason")


class Nginx(Balancer):
    """nginx, which at a reload replaces its workers."""

    name = "nginx"
    log_lines = re.compile(r'^\S+ \[[^]]+\] "(?P<method>[A-Z]+) (?P<path>\S+)" (?P<status>\d+) ', re.MULTILINE)

    def configure(self) -> None:
        text = (LOADBALANCER / "nginx" / "nginx.conf").read_text()
        text = replaced(text, "listen 8080", f"listen 127.0.0.1:{self.port}")
        for number, address in enumerate(self.places.addresses, 1):
            text = replaced(text, f"node{number}:8000", f"{address}:{self.places.port}", times=5)
        text = replaced(text, TEMPORARY, f"{self.folder}/nginx", times=6)
        (self.folder / "nginx.conf").write_text(text)

    def command(self) -> list[str]:
        path = program("nginx", install="apt install nginx")
        return [path, "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-g", "daemon off;"]

    def reload(self) -> None:
        before = self._workers()
        self._signal(signal.SIGHUP)
        wait_for(lambda: self._workers() - before, self.log)
        wait_for(self.answers, self.log)

    def _workers(self) -> set[int]:
        """The processes that it has made."""
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return {int(pid) for pid in path.read_text().split()}


def replaced(text: str, old: str, new: str, times: int = 1) -> str:
    """The text with the one place changed."""
    assert text.count(old) == times, f"{old!r} stands there {text.count(old)} times, not {times}"
    return text.replace(old, new)

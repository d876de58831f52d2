"""Who else accepts from this process's sockets: what is said of it, when it is looked for, and real processes."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from roomcast import shared_socket
from roomcast.shared_socket import LAST_LOOK, LOOKS, SHARED_SOCKET, Lookout, SharedSocket, others_accept
from tests.support.patience import PATIENCE
from tests.support.server import ROOT, python_path

LOGGER = logging.getLogger("roomcast.server")


def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    shared = SharedSocket(LOGGER, polling=True)
    assert not shared.degraded
    for _ in range(2):
        shared.tell()
    assert [each.getMessage() for each in caplog.records] == [SHARED_SOCKET]
    assert shared.degraded == (SHARED_SOCKET,)


def test_without_polling_nobody_minds(caplog: pytest.LogCaptureFixture) -> None:
    shared = SharedSocket(LOGGER, polling=False)
    shared.tell()
    assert (caplog.records, shared.degraded) == ([], ())


def looks(found_at: float | None, whatever_age: bool = False) -> tuple[SharedSocket, list[tuple[float, bool]]]:
    """What is known after two minutes with others there from that second on; and when it was looked, and how."""
    shared = SharedSocket(LOGGER, polling=True)
    looked: list[tuple[float, bool]] = []
    second = 0.0

    def find(last: bool) -> bool:
        looked.append((second, last))
        return found_at is not None and second >= found_at and last >= whatever_age

    lookout = Lookout(shared, find)
    while second < 2 * LAST_LOOK:
        lookout.look(second)
        second += 1.0
    return shared, looked


def test_it_is_looked_for_a_few_times_until_it_is_known() -> None:
    every = [*((each, False) for each in LOOKS), (LAST_LOOK, True)]
    assert looks(None)[1] == every
    for found_at, times in ((0.0, 1), (LOOKS[0] + 1, 2), (LOOKS[1] + 1, 3)):
        shared, looked = looks(found_at)
        assert (shared.known, looked) == (True, every[:times])
    shared, looked = looks(0.0, whatever_age=True)
    assert (shared.known, looked) == (True, every)


FAMILY = """
import os, socket, sys
from roomcast.shared_socket import others_accept

listening = socket.create_server(("127.0.0.1", 0))
begin, end = os.pipe(), os.pipe()
pids = []
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if not pid:
        if sys.argv[2] == "own":
            listening.close()
            listening = socket.create_server(("127.0.0.1", 0))
        os.read(begin[0], 1)
        os.write(1, f"{others_accept(False)} {others_accept(True)}\\n".encode())  # whole, beside what its siblings say
        os.read(end[0], 1)
        os._exit(0)
    pids.append(pid)
os.write(begin[1], b"." * len(pids))
sys.stdin.read(1)
os.write(end[1], b"." * len(pids))
for pid in pids:
    os.waitpid(pid, 0)
"""


@pytest.mark.skipif(not shared_socket.PROC.exists(), reason="where there is no /proc nobody can know")
@pytest.mark.parametrize(
    ("children", "sockets", "found"),
    [(1, "shared", False), (3, "shared", True), (2, "own", False)],
)
def test_children_of_one_parent(children: int, sockets: str, found: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY, str(children), sockets],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": python_path()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        told = [parent.stdout.readline() for _ in range(children)]
        parent.stdin.write(".")
        parent.stdin.close()
        assert parent.wait(PATIENCE) == 0
    assert told == [f"{found} {found}\n"] * children


def test_where_nobody_can_know(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not others_accept(True)  # nobody shares what this process listens on, if it does
    monkeypatch.setattr(shared_socket, "_listening", lambda: [0])
    monkeypatch.setattr(shared_socket, "PROC", ROOT / "no such folder")
    assert not others_accept(True)


def test_who_was_born_long_before_or_after_is_minded_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_socket, "_listening", lambda: [0])
    monkeypatch.setattr(shared_socket, "_siblings", lambda: [1])
    monkeypatch.setattr(shared_socket, "_target", lambda pid, number: "socket:[1]")
    monkeypatch.setattr(shared_socket, "_born", lambda pid: 0.0 if pid == 1 else shared_socket.TOGETHER)
    assert (others_accept(False), others_accept(True)) == (False, True)


def test_who_has_ended_meanwhile_was_never_born() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert shared_socket._born(ended.pid) == 0.0
    assert shared_socket._born(os.getpid()) > 0.0

"""A forwarder's place on the disk: one at a time, safe, and free again whatever happened."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from roomcast_brokers.backends.zmq import folder as module
from roomcast_brokers.backends.zmq.addresses import Address
from roomcast_brokers.backends.zmq.folder import ForwarderLock
from roomcast_brokers.errors import BrokerError, BrokerURLError
from tests.support.forwarders import short_folder
from tests.support.server import python_path


@pytest.fixture
def place() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def address(folder: Path) -> Address:
    return Address(folder=str(folder))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_made_for_its_user_alone_and_left_empty(place: Path) -> None:
    folder = place / "new" / "deeper"
    lock = ForwarderLock(address(folder))
    assert mode(folder) == 0o700
    (folder / "forwarder.sock").touch()
    lock.release()
    lock.release()
    assert list(folder.iterdir()) == []


def test_there_is_one_at_a_time(place: Path) -> None:
    lock = ForwarderLock(address(place))
    with pytest.raises(BrokerError, match="another forwarder"):
        ForwarderLock(address(place))
    lock.release()
    ForwarderLock(address(place)).release()


def test_by_whatever_name_it_is_called(place: Path) -> None:
    (place / "real").mkdir()
    (place / "other").symlink_to(place / "real")
    lock = ForwarderLock(address(place / "real"))
    with pytest.raises(BrokerError, match="another forwarder"):
        ForwarderLock(address(place / "other"))
    lock.release()


HOLD = """
import sys
from roomcast_brokers.backends.zmq.addresses import Address
from roomcast_brokers.backends.zmq.folder import ForwarderLock
lock = ForwarderLock(Address(folder=sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_in_another_process_too_until_that_is_killed(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place)],
        env={**os.environ, "PYTHONPATH": python_path()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(BrokerError, match="another forwarder"):
            ForwarderLock(address(place))
        holder.kill()
        holder.wait()
    assert (place / "forwarder.lock").exists(), "it could not clean up"
    ForwarderLock(address(place)).release()


def test_a_child_of_a_fork_does_not_hold_it(place: Path) -> None:
    lock = ForwarderLock(address(place))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ForwarderLock(address(place))
        except BrokerError:
            os.write(writing, b"taken by the parent")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"taken by the parent", "and its own memory does not say so"
    os.close(reading)
    os.close(writing)
    lock.release()


def test_a_lock_that_is_removed_while_one_waits_for_it_is_made_again(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forwarder that ends removes its lock file; who has just opened it holds a file that nobody finds any more."""
    unlink_first = [True]

    def locked(descriptor: int, how: int) -> None:
        if unlink_first.pop() if unlink_first else False:
            (place / "forwarder.lock").unlink()

    monkeypatch.setattr(fcntl, "lockf", locked)
    lock = ForwarderLock(address(place))
    assert (place / "forwarder.lock").exists()
    lock.release()


def test_one_that_never_keeps_its_lock_gives_up(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "lockf", lambda descriptor, how: (place / "forwarder.lock").unlink())
    with pytest.raises(BrokerError, match="another forwarder"):
        ForwarderLock(address(place))


def test_a_folder_that_everybody_may_write_to_is_refused(place: Path) -> None:
    place.chmod(0o1777)
    with pytest.raises(BrokerURLError, match="everybody"):
        ForwarderLock(address(place))


def test_a_folder_of_somebody_else_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if place.stat().st_uid == 0:  # we are root: pretend that we are not, and that the folder is not root's
        os.chown(place, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: place.stat().st_uid + 1)
    with pytest.raises(BrokerURLError, match="somebody else"):
        ForwarderLock(address(place))


def test_a_file_in_its_place_is_refused(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(BrokerURLError, match="file"):
        ForwarderLock(address(place / "file"))


def test_a_place_where_nothing_can_be_made_is_refused_without_its_name(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(BrokerURLError) as caught:
        ForwarderLock(address(place / "file" / "below"))
    assert str(place) not in str(caught.value)


def test_the_socket_is_for_those_who_may_write_to_the_folder(place: Path) -> None:
    for shared, expected in ((0o700, 0o600), (0o755, 0o600), (0o770, 0o660)):
        place.chmod(shared)
        lock = ForwarderLock(address(place))
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(f"{place}/forwarder.sock")
            lock.protect()
            assert mode(place / "forwarder.sock") == expected
        lock.release()


def test_without_unix_sockets_it_says_what_there_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fcntl", None)
    with pytest.raises(BrokerURLError, match=r"zmq\+tcp"):
        ForwarderLock(address(place))

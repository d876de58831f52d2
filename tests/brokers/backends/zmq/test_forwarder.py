"""The forwarder with real sockets: in a thread, as a process, one at an address, killed, and among strangers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from roomcast_brokers.backends.zmq import Forwarder, ZmqSender, serve, switchboard
from roomcast_brokers.backends.zmq import __main__ as command
from roomcast_brokers.backends.zmq import forwarder as module
from roomcast_brokers.backends.zmq.addresses import parse
from roomcast_brokers.backends.zmq.frames import (
    MAX_FRAME_BYTES,
    PROTOCOL,
    Count,
    Hello,
    Messages,
    Names,
    Welcome,
    decode,
    encode,
)
from roomcast_brokers.backends.zmq.line import Line
from roomcast_brokers.errors import BrokerClosedError, BrokerError, BrokerURLError, SendError
from tests.support.forwarders import ForwarderProcess, forwarding, short_folder
from tests.support.patience import PATIENCE
from tests.support.server import python_path

LOOK_AGAIN = 0.01
"""Seconds between two looks at a forwarder's numbers."""

ANY_PORT = "zmq+tcp://127.0.0.1:0"


@pytest.fixture
def url() -> Iterator[str]:
    with short_folder() as folder:
        yield f"zmq+ipc://{folder}/broker"


def works(url: str) -> bool:
    sender = ZmqSender(url)
    try:
        sender.send([("channel", b"payload")])
    except SendError:
        return False
    finally:
        sender.close()
    return True


def files(url: str) -> list[str]:
    return sorted(os.listdir(url.removeprefix("zmq+ipc://")))


def test_one_call_runs_it_and_it_leaves_nothing(url: str) -> None:
    threads = threading.active_count()
    with Forwarder(url) as forwarder:
        assert forwarder.url == url
        assert works(url)
        assert files(url) == ["forwarder.lock", "forwarder.sock"]
    assert files(url) == []
    assert threading.active_count() == threads
    assert not works(url)


def test_over_tcp_any_free_port_will_do() -> None:
    with Forwarder(ANY_PORT) as forwarder:
        assert forwarder.url.startswith("zmq+tcp://127.0.0.1:")
        assert works(forwarder.url)


def test_over_ipv6_too() -> None:
    try:
        with Forwarder("zmq+tcp://[::1]:0") as forwarder:
            assert works(forwarder.url)
    except BrokerURLError:
        pytest.skip("this machine has no IPv6")


def test_a_second_one_is_refused_and_does_no_harm(url: str) -> None:
    with Forwarder(url):
        with pytest.raises(BrokerError, match="another forwarder"):
            Forwarder(url).start()
        assert works(url)
    with Forwarder(ANY_PORT) as forwarder:
        with pytest.raises(BrokerError, match="port"):
            Forwarder(forwarder.url).start()
        assert works(forwarder.url)


def test_nor_in_another_process(url: str) -> None:
    with Forwarder(url):
        run = subprocess.run(
            [sys.executable, "-m", "roomcast_brokers.backends.zmq", url],
            env={**os.environ, "PYTHONPATH": python_path()},
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
        )
        assert (run.returncode, run.stdout) == (1, "")
        assert "another forwarder is alive" in run.stderr
        assert "Traceback" not in run.stderr
        assert works(url)


def test_it_may_follow_itself_at_once(url: str) -> None:
    for _ in range(3):
        with Forwarder(url):
            assert works(url)


def test_each_is_started_once(url: str) -> None:
    forwarder = Forwarder(url)
    forwarder.start()
    with pytest.raises(BrokerClosedError):
        forwarder.start()
    forwarder.stop()
    forwarder.stop()
    with pytest.raises(BrokerClosedError):
        forwarder.start()


def test_one_that_never_ran_is_stopped_too(url: str) -> None:
    Forwarder(url).stop()
    bound = Forwarder(url)
    bound.bind()
    bound.stop()
    assert files(url) == []


@pytest.mark.parametrize(
    "place", ["zmq+tcp://no-such-host.invalid:5555", f"zmq+tcp://{'a' * 70}.invalid:5555", "zmq+tcp://192.0.2.1:5555"]
)
def test_a_place_where_none_can_be_is_refused_without_its_name(place: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        Forwarder(place).start()
    assert "invalid" not in str(caught.value)
    assert "192" not in str(caught.value)


def test_one_that_was_killed_leaves_files_and_the_next_does_not_mind() -> None:
    with forwarding() as process:
        assert works(process.url)
        process.kill()
        assert files(process.url) == ["forwarder.lock", "forwarder.sock"]
        assert not works(process.url)
        process.start()
        assert works(process.url)
        assert process.terminate() == 0
        assert files(process.url) == []


def test_an_operator_ends_it_with_either_signal(url: str) -> None:
    process = ForwarderProcess(url)
    process.start()
    assert process.terminate() == 0
    ended: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def ready(bound: str) -> None:
        assert bound == url
        assert os.path.exists(url.removeprefix("zmq+ipc://") + "/forwarder.sock")
        ended.append(1)
        signal.raise_signal(signal.SIGINT)

    serve(url, ready)
    assert ended == [1]
    assert signal.getsignal(signal.SIGINT) is before
    assert files(url) == []


def test_serving_where_another_lives_raises_and_leaves_the_signals_alone(url: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Forwarder(url), pytest.raises(BrokerError, match="another forwarder"):
        serve(url)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_command_says_how_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="usage"):
        command.main([])
    with pytest.raises(SystemExit, match="zmq"):
        command.main(["redis://localhost"])
    assert capsys.readouterr().out == ""


def test_in_the_child_of_a_fork_nothing_of_it_is_stopped(url: str) -> None:
    with Forwarder(url) as forwarder:
        child = os.fork()
        if child == 0:
            try:
                forwarder.stop()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert works(url)


# --- strangers --------------------------------------------------------------------------------------------------------


def until(condition: Callable[[], object]) -> None:
    """Look again and again: the forwarder's thread tells nobody."""
    deadline = threading.Event()
    timer = threading.Timer(PATIENCE, deadline.set)
    timer.start()
    while not condition():
        assert not deadline.wait(LOOK_AGAIN), "in vain"
    timer.cancel()
    timer.join()


@pytest.fixture
def stranger() -> Iterator[zmq.Socket[bytes]]:
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.setsockopt(zmq.RCVTIMEO, int(1_000 * PATIENCE))
    yield dealer
    dealer.close()
    context.term()


def test_frames_of_several_parts_are_ignored_and_counted(stranger: zmq.Socket[bytes]) -> None:
    with Forwarder(ANY_PORT) as forwarder:
        stranger.connect(forwarder.url.removeprefix("zmq+"))
        stranger.send_multipart([encode(Hello(PROTOCOL)), b"more"])
        stranger.send_multipart([b"", b"", b""])
        stranger.send(b"no frame")
        stranger.send(encode(Hello(PROTOCOL)))
        assert decode(stranger.recv()) == Welcome(PROTOCOL)
        assert forwarder.board.malformed == 3
        assert works(forwarder.url)


def test_a_frame_beyond_the_limit_costs_its_sender_the_connection() -> None:
    with Forwarder(ANY_PORT) as forwarder:
        line = Line(parse(forwarder.url))
        assert line.send(bytes(MAX_FRAME_BYTES + 1))
        until(line.broken)
        line.close()
        assert works(forwarder.url)


def test_bytes_that_are_not_zeromq_are_survived(url: str) -> None:
    with Forwarder(url):
        path = url.removeprefix("zmq+ipc://") + "/forwarder.sock"
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1_000, b""):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.connect(path)
                raw.sendall(data)
        assert works(url)


def test_who_does_not_read_for_a_while_gets_it_later(stranger: zmq.Socket[bytes]) -> None:
    """20 MB: more than libzmq and the kernel hold, less than may wait in the forwarder."""
    with Forwarder(ANY_PORT) as forwarder:
        stranger.setsockopt(zmq.RCVHWM, 1)
        stranger.connect(forwarder.url.removeprefix("zmq+"))
        stranger.send(encode(Hello(PROTOCOL)))
        stranger.send(encode(Names([("a", 1)])))
        assert [decode(stranger.recv()) for _ in range(2)] == [Welcome(PROTOCOL), Names([("a", 1)])]
        sender = ZmqSender(forwarder.url)
        for number in range(200):
            sender.send([("a", bytes([number]) * 100_000)])
        sender.close()
        until(lambda: forwarder.board.blocked)
        received: list[int] = []
        while len(received) < 200:
            frame = decode(stranger.recv())
            assert isinstance(frame, Messages)
            received += [payload[0] for _, payload in frame.items]
        assert received == list(range(200))
        assert forwarder.board.dropped == 0


@pytest.mark.parametrize("wanted", [True, False], ids=["that hears something", "that hears nothing"])
def test_one_that_is_gone_without_a_word_is_forgotten(monkeypatch: pytest.MonkeyPatch, wanted: bool) -> None:
    monkeypatch.setattr(module, "TICK_MS", 10)
    monkeypatch.setattr(switchboard, "ASKED_AFTER", 3_600.0 if wanted else 0.01)
    with Forwarder(ANY_PORT) as forwarder:
        with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
            dealer.connect(forwarder.url.removeprefix("zmq+"))
            dealer.send(encode(Hello(PROTOCOL)))
            dealer.send(encode(Names([("a", 1)])))
            assert [decode(dealer.recv()) for _ in range(2)] == [Welcome(PROTOCOL), Names([("a", 1)])]
        assert forwarder.board.peers == 1
        if wanted:
            sender = ZmqSender(forwarder.url)
            sender.send([("a", b"")])
            until(lambda: forwarder.board.subscribers("a") == 0)
            sender.close()
        until(lambda: forwarder.board.peers == 0)


def test_who_did_not_say_hello_is_told(stranger: zmq.Socket[bytes]) -> None:
    with Forwarder(ANY_PORT) as forwarder:
        stranger.connect(forwarder.url.removeprefix("zmq+"))
        stranger.send(encode(Count(0)))
        assert b"say hello first" in stranger.recv()


def test_the_folder_is_for_its_user(url: str) -> None:
    with Forwarder(url):
        folder = Path(url.removeprefix("zmq+ipc://"))
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder / "forwarder.sock").stat().st_mode & 0o777 == 0o600

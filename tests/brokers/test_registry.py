from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from roomcast_brokers.backends.memory import MemoryBroker
from roomcast_brokers.bridge import LoopBroker, ThreadedBroker
from roomcast_brokers.bridged_sender import BridgedSender
from roomcast_brokers.contracts import Traits
from roomcast_brokers.errors import BrokerURLError, MissingExtraError
from roomcast_brokers.registry import BACK_ENDS, BackEnd, create, create_sender, create_threaded, scheme_of
from tests.support.scripted_brokers import ScriptedBroker

WAYS: tuple[Callable[..., Any], ...] = (create, create_threaded, create_sender)


class Blocking(ScriptedBroker):
    """A back end for threads, as the registry makes them."""

    def __init__(self, url: str, *, size: int = 0) -> None:
        super().__init__(Traits(shortest_beat=float(size)))
        self.url = url


class Written:
    """A sender, as the registry makes them."""

    def __init__(self, url: str, *, size: int = 0) -> None:
        self.arguments = (url, size)


BLOCKING = {"blocking": BackEnd(f"{__name__}:Blocking", colour="threads", sender=f"{__name__}:Written")}


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """pytest imports test modules under names that nobody else can import."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Blocking.__module__])


@pytest.mark.parametrize("url", ["memory://", "memory://name", "MEMORY://name"])
def test_memory_in_every_colour(url: str) -> None:
    assert isinstance(create(url), MemoryBroker)
    assert isinstance(create_threaded(url), ThreadedBroker)
    sender = create_sender(url)
    assert isinstance(sender, BridgedSender)
    sender.close()


def test_a_back_end_for_threads_is_bridged_for_a_loop_and_its_sender_is_its_own() -> None:
    url = "blocking://somewhere"
    broker = create(url, table=BLOCKING, size=5)
    assert isinstance(broker, LoopBroker)
    assert broker.traits.shortest_beat == 5
    threaded = create_threaded(url, table=BLOCKING, size=7)
    assert isinstance(threaded, Blocking)
    assert (threaded.url, threaded.traits.shortest_beat) == (url, 7)
    sender = create_sender(url, table=BLOCKING, size=9)
    assert isinstance(sender, Written)
    assert sender.arguments == (url, 9)


def test_a_name_that_ends_with_a_plus_serves_every_scheme_that_begins_so() -> None:
    table = {"pigeon+": BackEnd(f"{__name__}:Blocking", colour="threads", sender=f"{__name__}:Written")}
    threaded = create_threaded("pigeon+carrier://roof", table=table)
    assert isinstance(threaded, Blocking)
    assert threaded.url == "pigeon+carrier://roof"
    sender = create_sender("Pigeon+racing://roof", table=table)
    assert isinstance(sender, Written)
    for url in ("pigeon://roof", "pigeon+://roof", "pigeons+carrier://roof"):
        with pytest.raises(BrokerURLError, match=r"did you mean pigeon\+"):
            create(url, table=table)


def test_options_reach_the_back_end() -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        create("memory://", no_such_option=1)
    assert create("memory://", max_deliveries=1).traits
    assert create_threaded("memory://", max_deliveries=1).traits


EVERY_SCHEME = {
    "memory", "redis", "rediss", "unix", "valkey", "valkeys", "redis+sentinel", "rediss+sentinel",
    "valkey+sentinel", "valkeys+sentinel", "redis+cluster", "rediss+cluster", "valkey+cluster", "valkeys+cluster",
    "zmq+ipc", "zmq+tcp", "amqp", "amqps", "kafka", "kombu+",
}  # fmt: skip


def test_what_is_served() -> None:
    assert set(BACK_ENDS) == EVERY_SCHEME
    assert all(back_end.path.startswith("roomcast_brokers.backends.") for back_end in BACK_ENDS.values())


@pytest.mark.parametrize("make", WAYS)
@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("memroy://", "did you mean memory://?"),
        ("reddis://user:secret@host", "did you mean redis://?"),
        ("kombi+redis://user:secret@host", "did you mean kombu+redis://?"),
        ("kombu://user:secret@host", "did you mean kombu+<transport>://?"),
        ("kombu+://user:secret@host", "did you mean kombu+<transport>://?"),
        ("redis+sentinal://user:secret@host", "did you mean redis+sentinel://?"),
        ("carrier-pigeon://user:secret@roof", "there is amqp://, amqps://, kafka://, kombu+<transport>://, memory://"),
    ],
)
def test_a_wrong_scheme_is_told_the_right_one(make: Callable[[str], object], url: str, hint: str) -> None:
    with pytest.raises(BrokerURLError) as caught:
        make(url)
    assert hint in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "memory", "://", "memory:/x", "user:secret@host://", "x" * 40 + "://", "1://"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(BrokerURLError, match="named by a URL") as caught:
        scheme_of(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("make", WAYS)
def test_a_missing_package_names_its_extra(make: Callable[..., object]) -> None:
    path = "a_package_that_nobody_has.here:Broker"
    table = {"pigeon": BackEnd(path, extra="pigeon", sender=path)}
    with pytest.raises(MissingExtraError, match=r"pip install 'roomcast-brokers\[pigeon\]'") as caught:
        make("pigeon://", table=table)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    with pytest.raises(MissingExtraError, match=r"pip install 'roomcast-emitter\[pigeon\]'"):
        make("pigeon://", table=table, distribution="roomcast-emitter")


def test_without_an_extra_the_import_error_speaks_for_itself() -> None:
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
        create("pigeon://", table={"pigeon": BackEnd("a_package_that_nobody_has.here:Broker")})


def test_a_fault_of_ours_is_not_taken_for_a_missing_package() -> None:
    table = {"pigeon": BackEnd("roomcast_brokers.backends.no_such_module:Broker", extra="pigeon")}
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        create("pigeon://", table=table)


def test_whoever_asks_for_no_bridge_does_not_import_asyncio() -> None:
    code = "import roomcast_brokers.registry, sys; assert 'asyncio' not in sys.modules"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

"""Runs ``async def test_…`` in an event loop of its own, and lets tests be parametrised by the way bytes take."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import uvloop

LONGEST_TEST = 60.0 * float(os.environ.get("ROOMCAST_TEST_PATIENCE", "1"))
"""Seconds after which an async test has failed, unless its ``timeout`` mark has another number (0: none)."""

# How long one example takes is the machine's business.
hypothesis.settings.register_profile("roomcast", deadline=None)
hypothesis.settings.load_profile("roomcast")

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

HEAVY = {
    "kafka": ("kafka",),
    "rabbitmq": ("rabbit", "amqp", "aiopika"),
    "standing clusters": ("tests/cluster/",),
    "balancers": ("test_balancers",),
}
"""What takes long to start, and what is in the names of tests that use it."""


@pytest.fixture(autouse=True)
def loggers_of_uvicorn() -> Iterator[None]:
    """Take back what a server that was started in this process has set up: its streams end with its test."""
    yield
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "roomcast"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
        logger.propagate = True


@pytest.fixture(autouse=True)
def no_eventlet() -> Iterator[None]:
    """Where eventlet is loaded, every fork of this process warns from then on: it belongs in one of its own."""
    yield
    assert "eventlet" not in sys.modules


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--every-loop", action="store_true", help="run each path under asyncio and under uvloop")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background by a shell: servers need it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "differs: python-socketio behaves differently, on purpose (docs/migrating.md)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``flavour``: each path into the server; ``way``: each path and each transport of the client."""
    if not {"flavour", "way"} & set(metafunc.fixturenames):
        return
    from tests.support import inprocess  # only these tests need uvicorn

    everything = metafunc.config.getoption("--every-loop")
    for name, ways in (
        ("flavour", inprocess.EVERY_FLAVOUR if everything else inprocess.FLAVOURS),
        ("way", inprocess.EVERY_WAY if everything else inprocess.WAYS),
    ):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, ways, ids=str)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests stay together where processes share the suite (``make test``): those of one file, and all that need
    the same broker, where one takes long to start.
    """
    for item in items:
        name = next((name for name, words in HEAVY.items() if any(word in item.nodeid for word in words)), None)
        item.add_marker(pytest.mark.xdist_group(name or item.nodeid.partition("::")[0]))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in names}
    way = arguments.get("way", arguments.get("flavour"))
    mark = pyfuncitem.get_closest_marker("timeout")
    longest = LONGEST_TEST if mark is None else mark.args[0] or None
    with asyncio.Runner(loop_factory=LOOPS[way.loop if way else "uvloop"]) as runner:
        runner.run(_bounded(pyfuncitem.obj, arguments, longest))
    return True


async def _bounded(test: Callable[..., Any], arguments: dict[str, Any], longest: float | None) -> None:
    """Run the test within its time; what nobody caught in a task or a callback fails it as well."""
    uncaught: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: uncaught.append(context))
    await asyncio.wait_for(test(**arguments), longest)
    assert not uncaught, uncaught

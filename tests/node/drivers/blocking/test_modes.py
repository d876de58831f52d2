"""Which kind of task a server uses, and what is said of those that cannot be."""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import Any

import pytest

from roomcast.drivers.blocking import modes
from roomcast.drivers.blocking.modes import MODES, check_broker, concurrency_of, in_force, patched
from roomcast.drivers.blocking.server import Server
from roomcast.drivers.blocking.threads import THREADS
from roomcast.errors import SettingsError
from tests.support.own_process import run_quietly


def uwsgi(monkeypatch: pytest.MonkeyPatch, *options: str | bytes) -> None:
    """Be in a process of uWSGI that was started with these."""
    module = ModuleType("uwsgi")
    module.opt = dict.fromkeys(options, b"1")  # type: ignore[attr-defined]  # as uWSGI's own has it
    monkeypatch.setitem(sys.modules, "uwsgi", module)


# --- by name ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODES)
def test_each_has_its_record(name: str) -> None:
    ended = run_quietly(
        f"from roomcast.drivers.blocking.modes import concurrency_of; print(concurrency_of({name!r}).async_mode)"
    )
    assert ended.stdout.strip() == name, ended.stderr


def test_a_record_is_taken_as_it_is() -> None:
    assert concurrency_of(THREADS) is THREADS


@pytest.mark.parametrize("name", ["asgi", "thread", ""])
def test_one_that_does_not_exist(name: str) -> None:
    with pytest.raises(ValueError, match="'threading', 'gevent', 'gevent_uwsgi', 'eventlet'"):
        Server(async_mode=name)


@pytest.mark.parametrize(
    ("name", "library"), [("gevent", "gevent"), ("gevent_uwsgi", "gevent"), ("eventlet", "eventlet")]
)
def test_one_whose_library_is_missing_says_what_to_install(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, MODES[name].path.partition(":")[0], raising=False)
    with pytest.raises(SettingsError, match=rf"pip install 'roomcast\[{library}\]'"):
        concurrency_of(name)


# --- the one in force -------------------------------------------------------------------------------------------------


def test_where_nothing_is_patched_it_is_threads(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "roomcast.server"):
        assert concurrency_of(None) is THREADS
    assert [each.getMessage() for each in caplog.records] == [
        "async_mode is 'threading': that is what this process uses"
    ]


def test_under_uwsgi_with_gevent_it_is_that(monkeypatch: pytest.MonkeyPatch) -> None:
    uwsgi(monkeypatch, b"gevent", "http-socket")
    assert in_force() == "gevent_uwsgi"


def test_under_uwsgi_without_gevent_it_is_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    uwsgi(monkeypatch, "http-socket", "enable-threads")
    assert in_force() == "threading"


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_where_a_library_has_patched_it_is_that(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "patched", lambda name: name == library)
    assert in_force() == library


def test_another_package_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))
    assert in_force() == "threading"


PATCHED = """
import sys
{patch}
import roomcast.drivers.blocking.modes as modes
print(modes.in_force(), modes.patched("gevent"), modes.patched("eventlet"))
"""


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ("import gevent.monkey; gevent.monkey.patch_all()", "gevent True False"),
        ("import gevent.monkey, eventlet", "threading False False"),
        (
            "import warnings; warnings.simplefilter('ignore'); import eventlet; eventlet.monkey_patch()",
            "eventlet False True",
        ),
    ],
)
def test_what_was_patched_decides_not_what_is_installed(patch: str, told: str) -> None:
    ended = run_quietly(PATCHED.format(patch=patch))
    assert ended.stdout.strip() == told, ended.stderr


def test_nothing_is_imported_to_find_out() -> None:
    ended = run_quietly(
        "import sys; from roomcast.drivers.blocking.server import Server; Server();"
        "sys.exit(any(name in sys.modules for name in ('gevent', 'eventlet', 'greenlet')))"
    )
    assert ended.returncode == 0, ended.stderr


# --- brokers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "patch"), [("gevent", "gevent.monkey.patch_all()"), ("eventlet", "eventlet.monkey_patch()")]
)
def test_a_broker_needs_sockets_that_were_patched(name: str, patch: str) -> None:
    ended = run_quietly(
        f"from roomcast.drivers.blocking.server import Server;Server(async_mode={name!r}, broker='memory://modes')"
    )
    assert ended.returncode == 1
    assert f"SettingsError: a broker under async_mode '{name}' needs {name} in the place of socket" in ended.stderr
    assert patch in ended.stderr


@pytest.mark.parametrize(
    ("patch", "missing"),
    [
        ("import gevent.monkey; gevent.monkey.patch_all(thread=False)", "threading"),
        ("import gevent.monkey; gevent.monkey.patch_all(select=False)", "select"),
        ("import eventlet; eventlet.monkey_patch(thread=False)", "thread"),
        ("import eventlet; eventlet.monkey_patch(socket=True)", "select, thread"),
    ],
)
def test_half_of_a_patch_is_not_enough(patch: str, missing: str) -> None:
    ended = run_quietly(
        f"{patch}; from roomcast.drivers.blocking.server import Server; Server(broker='memory://modes')"
    )
    assert ended.returncode == 1
    assert f"in the place of {missing}: call " in ended.stderr


def test_threads_need_nothing() -> None:
    check_broker("threading")
    check_broker("of somebody's own")
    assert Server(async_mode="threading", broker="memory://modes").bus is not None


def test_a_library_that_was_patched_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modes, "patched", lambda library, module: library == "gevent")
    check_broker("gevent")
    with pytest.raises(SettingsError):
        check_broker("eventlet")


@pytest.mark.parametrize(
    ("options", "works"),
    [(["gevent"], False), (["gevent", "gevent-monkey-patch"], True), ([b"gevent", b"gevent-early-monkey-patch"], True)],
)
def test_uwsgi_patches_after_it_has_loaded_the_application(
    options: list[Any], works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    uwsgi(monkeypatch, *options)
    assert not patched("gevent")
    if works:
        check_broker("gevent_uwsgi")
    else:
        with pytest.raises(SettingsError):
            check_broker("gevent_uwsgi")

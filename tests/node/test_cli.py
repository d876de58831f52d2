"""The command line, and what ``roomcast run`` makes of it in this process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from roomcast import __version__, cli
from roomcast.errors import SettingsError
from roomcast.metrics_port import DEFAULT_PORT

# --- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["run"], ["walk"], ["run", "a:b", "--port", "x"], ["run", "a:b", "--nope"]])
def test_a_wrong_command_line_is_explained(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        cli.main(arguments)
    assert exit_code.value.code == 2
    assert "usage: roomcast" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_code:
        cli.main(["--version"])
    assert exit_code.value.code == 0
    assert capsys.readouterr().out == f"roomcast {__version__}\n"


def test_defaults() -> None:
    arguments = cli._parser().parse_args(["run", "chat:app"])
    assert (arguments.host, arguments.port, arguments.metrics_host) == ("127.0.0.1", 8000, "127.0.0.1")
    assert (arguments.metrics_port, arguments.access_log) == (DEFAULT_PORT, False)


# --- what is served ---------------------------------------------------------------------------------------------------


class FakeServer:
    """Takes what :func:`roomcast.cli.run` would serve, and says whether it started."""

    started: Any = True
    failure: SettingsError | None = None
    made: list[tuple[Any, ...]]

    def __init__(self, config: uvicorn.Config, *more: Any, **options: Any) -> None:
        FakeServer.made.append((config, *more, options))

    def run(self) -> None:
        if isinstance(FakeServer.started, BaseException):
            raise FakeServer.started


@pytest.fixture
def fake_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Any, ...]]]:
    import resource

    before, path, files = gc.get_threshold(), sys.path[:], resource.getrlimit(resource.RLIMIT_NOFILE)
    FakeServer.made, FakeServer.started = [], True
    monkeypatch.setattr(cli, "RunServer", FakeServer)
    yield FakeServer.made
    gc.set_threshold(*before)
    sys.path[:] = path
    resource.setrlimit(resource.RLIMIT_NOFILE, files)


def test_settings_for_production(fake_server: list[tuple[Any, ...]], tmp_path: Path) -> None:
    assert cli.main(["run", "chat:app", "--app-dir", str(tmp_path), "--metrics-port", "9000"]) == 0
    config, metrics, *_ = fake_server[0]
    assert metrics == ("127.0.0.1", 9000)
    assert (config.backlog, config.server_header, config.access_log) == (cli.BACKLOG, False, False)
    assert config.timeout_keep_alive == cli.KEEP_ALIVE
    assert config.ws == "roomcast.drivers.asyncio.uvicorn:SocketIOProtocol"
    assert gc.get_threshold() == cli.GC_THRESHOLDS
    assert sys.path[0] == str(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "seconds", "delay"),
    [
        ([], None, None),
        (["--drain-delay", "0", "--drain-seconds", "2.5"], 2.5, 0.0),
    ],
)
def test_the_times_of_a_stop_are_the_applications_unless_they_are_given(
    fake_server: list[tuple[Any, ...]], arguments: list[str], seconds: float | None, delay: float | None
) -> None:
    assert cli.main(["run", "chat:app", *arguments]) == 0
    _, _, given, _, options = fake_server[0]
    assert (given, options) == (seconds, {"drain_delay": delay})


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ([], 10.0),
        (["--drain-delay=1"], 6.0),
        (["--drain-seconds=2"], 7.0),
        (["--drain-delay=0", "--drain-seconds=0"], 0),
    ],
)
def test_who_is_on_a_leash_may_drain_for_as_long(
    fake_server: list[tuple[Any, ...]], arguments: list[str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    monkeypatch.setattr(cli, "follow_standard_input", told.append)
    assert cli.main(["run", "chat:app", "--stop-at-eof", *arguments]) == 0
    assert told == [seconds]


@pytest.mark.parametrize("text", ["-1", "soon", "inf", "nan"])
@pytest.mark.parametrize("option", ["--drain-delay", "--drain-seconds"])
def test_what_is_no_time_is_refused(option: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["run", "chat:app", f"{option}={text}"])
    assert f"argument {option}: a number of seconds, 0 or more, not '{text}'" in capsys.readouterr().err


def test_what_did_not_start_is_an_error(fake_server: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeServer, "started", False)
    assert cli.main(["run", "chat:app", "--metrics-port", "-1"]) == 3
    assert fake_server[0][1] is None


def test_interrupted_twice(fake_server: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeServer, "started", KeyboardInterrupt())
    assert cli.main(["run", "chat:app"]) == 130


def test_what_stopped_at_once_says_why(
    fake_server: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeServer, "failure", SettingsError("no port is free"))
    assert cli.main(["run", "chat:app"]) == 2
    assert capsys.readouterr().err == "roomcast: no port is free\n"


# --- emitting ---------------------------------------------------------------------------------------------------------


def test_emit_is_the_emitters_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROOMCAST_BROKER", raising=False)
    assert cli.main(["emit", "e", "1", "--to", "room"]) == 2
    assert capsys.readouterr().err == "roomcast emit: which broker? ROOMCAST_BROKER is not set\n"


# --- open files -------------------------------------------------------------------------------------------------------


def test_as_many_files_as_the_system_allows(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    import resource

    limits: list[Any] = [(100, 200)]

    def refuse(*_: Any) -> None:
        raise OSError

    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    cli.raise_open_files()
    assert limits == [(100, 200), (200, 200)]
    cli.raise_open_files()
    assert len(limits) == 2
    limits.append((100, 200))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    cli.raise_open_files()
    assert "the limit of open files stays at 100" in caplog.text


def test_a_system_without_such_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    cli.raise_open_files()

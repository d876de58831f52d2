"""How the parts are put together. The command as a whole is a process: tests/node/test_cli_up.py."""

from __future__ import annotations

import io

import pytest

from roomcast.errors import SettingsError
from roomcast.supervision import command
from roomcast.supervision.command import make_screen
from roomcast.supervision.screen import LiveScreen, PlainScreen
from roomcast_emitter.environment import BROKER_VARIABLE, CLUSTER_VARIABLE
from tests.support.forwarders import short_folder


class TerminalStream(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "kind"),
    [
        (TerminalStream(), {"TERM": "xterm"}, LiveScreen),
        (TerminalStream(), {"TERM": "dumb"}, PlainScreen),
        (TerminalStream(), {}, PlainScreen),
        (io.StringIO(), {"TERM": "xterm"}, PlainScreen),
    ],
)
def test_the_screen_fits_the_stream(stream: io.StringIO, environment: dict[str, str], kind: type) -> None:
    assert isinstance(make_screen(stream, [1], environment), kind)


@pytest.mark.parametrize(("variable", "coloured"), [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_can_be_turned_off(variable: dict[str, str], coloured: bool) -> None:
    stream = TerminalStream()
    make_screen(stream, [1], {"TERM": "xterm", **variable}).log(1, ["hello"])
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_whatever_a_node_writes_can_be_shown_somehow() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    make_screen(stream, [1], {}).log(1, ["grüße"])
    assert raw.getvalue() == b"node 1 | gr\\xfc\\xdfe\n"


def test_a_broker_by_its_url_is_named_by_its_scheme_alone() -> None:
    with command._broker("redis://:secret@localhost:6379/0") as (url, name):
        assert (url, name) == ("redis://:secret@localhost:6379/0", "broker redis://")


@pytest.mark.parametrize("url", [None, "", " "])
def test_without_one_it_is_the_embedded_one(url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with short_folder() as folder:
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        with command._broker(url) as (found, name):
            assert (found.startswith(f"zmq+ipc://{folder}/"), name) == (True, "embedded broker")


@pytest.mark.parametrize("url", ["memory://", "reddis://secret", "secret", "zmq+tcp://host"])
def test_brokers_that_cannot_be_are_not_quoted(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^--broker: ") as error, command._broker(url):
        raise AssertionError("it is there")
    assert "secret" not in str(error.value)


def test_the_environment_of_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BROKER_VARIABLE, "redis://elsewhere")
    monkeypatch.setenv(CLUSTER_VARIABLE, "shop")
    found = command._environment("zmq+ipc:///here", None)
    assert (found[BROKER_VARIABLE], found[CLUSTER_VARIABLE]) == ("zmq+ipc:///here", "shop")
    assert command._environment("zmq+ipc:///here", "other")[CLUSTER_VARIABLE] == "other"

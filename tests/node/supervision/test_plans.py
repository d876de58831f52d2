"""Tags, ports and the commands of the nodes."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

import pytest

from roomcast.cli import _parser
from roomcast.errors import SettingsError
from roomcast.settings import Settings
from roomcast.supervision.plans import MAX_NODES, PASSED, PASSED_FLAGS, make_plans, make_tags, run_arguments


def options(*arguments: str) -> dict[str, Any]:
    return vars(_parser().parse_args(["up", "chat:app", *arguments]))


# --- tags -------------------------------------------------------------------------------------------------------------


def test_random_tags_are_all_different() -> None:
    draws = chain(["aaaa", "aaaa", "bbbb"], repeat("cccc"))
    assert make_tags(3, None, lambda: next(draws)) == ["aaaa", "bbbb", "cccc"]
    assert len(set(make_tags(MAX_NODES, None))) == MAX_NODES


def test_given_tags() -> None:
    assert make_tags(3, "n001, -_09,n003") == ["n001", "-_09", "n003"]


@pytest.mark.parametrize(
    ("count", "given", "complaint"),
    [
        (0, None, "1 to 64 nodes, not 0"),
        (MAX_NODES + 1, None, "not 65"),
        (2, "n001", "2 nodes need 2 tags, and there are 1"),
        (1, "n001,n002", "1 nodes need 1 tags"),
        (2, "n001,n001", "the same tag"),
        (2, "n001,no", "--tags: a node's tag is 4 characters"),
        (1, "", "--tags: a node's tag is 4 characters"),
    ],
)
def test_tags_that_cannot_be(count: int, given: str | None, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        make_tags(count, given)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_each_node_has_its_number_tag_and_ports() -> None:
    first, second = make_plans(["aaaa", "bbbb"], [80, 81], [90, 95], options("--metrics-host", "::1"))
    assert (first.number, first.tag, first.url, first.port) == (1, "aaaa", "http://127.0.0.1:80", 80)
    assert (second.number, second.tag, second.url, second.metrics_port) == (2, "bbbb", "http://127.0.0.1:81", 95)
    assert second.metrics_host == "::1"


@pytest.mark.parametrize(
    ("arguments", "url"),
    [
        (["--host", "::1"], "http://[::1]:80"),
        (["--ssl-certfile", "cert.pem"], "https://127.0.0.1:80"),
        (["--host", "0.0.0.0"], "http://0.0.0.0:80"),
    ],
)
def test_addresses_as_browsers_take_them(arguments: list[str], url: str) -> None:
    assert make_plans(["aaaa"], [80], [90], options(*arguments))[0].url == url


# --- commands ---------------------------------------------------------------------------------------------------------


def as_run(*arguments: str) -> Any:
    """What ``roomcast run`` understands of the arguments that ``roomcast up`` gives it for its second node."""
    given = options(*arguments)
    plan = make_plans(["aaaa", "-bbb"], [8000, 8001], [9464, 9465], given)[1]
    return _parser().parse_args(run_arguments(plan, given))


def test_the_command_of_a_node() -> None:
    understood = as_run()
    assert (understood.command, understood.app, understood.port, understood.tag) == ("run", "chat:app", 8001, "-bbb")
    assert (understood.metrics_port, understood.metrics_port_fixed, understood.stop_at_eof) == (9465, True, True)


def test_what_is_not_said_is_as_in_run() -> None:
    default, understood = _parser().parse_args(["run", "chat:app"]), as_run()
    for name in {*PASSED, *PASSED_FLAGS} - {"drain_delay", "drain_seconds"}:
        assert getattr(understood, name) == getattr(default, name), name
    assert understood.drain_delay == 0  # nobody balances on one machine, unless it is said
    assert understood.drain_seconds == Settings().drain_seconds


def test_what_is_said_is_passed_on() -> None:
    said = {
        "host": "0.0.0.0",
        "app_dir": "-odd folder",
        "root_path": "/api",
        "ssl_certfile": "cert.pem",
        "ssl_keyfile": "key.pem",
        "forwarded_allow_ips": "10.0.0.5",
        "log_level": "warning",
        "metrics_host": "10.0.0.6",
        "drain_delay": 1.5,
        "drain_seconds": 0.5,
    }
    assert set(said) == set(PASSED)
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in said.items()]
    understood = as_run(*arguments, *(f"--{name.replace('_', '-')}" for name in PASSED_FLAGS))
    for name, value in said.items():
        assert getattr(understood, name) == value
    assert all(getattr(understood, name) is True for name in PASSED_FLAGS)

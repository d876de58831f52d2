"""``roomcast emit``: what is typed, what is said, and the exit code."""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from roomcast_brokers.codec import EnvelopeCodec, new_origin
from roomcast_brokers.keys import KeyRing
from roomcast_brokers.messages import Emit
from roomcast_emitter import command
from roomcast_emitter.emitter import Emitter
from tests.support.senders import TABLE, FakeBroker
from tests.support.tree import ROOT

SID = "tagA" + "s" * 16


class Typed:
    """What a command line led to."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


Type = Callable[..., Typed]


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker("broker", "shop")


@pytest.fixture
def typed(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command line, with an environment that names the broker and its cluster."""
    monkeypatch.setattr(command, "Emitter", partial(Emitter, broker_options={"table": TABLE}))
    usual = {"ROOMCAST_BROKER": "fake://broker", "ROOMCAST_CLUSTER": "shop"}

    def type_it(*words: str, stdin: str = "", **environment: str) -> Typed:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        out, err = io.StringIO(), io.StringIO()
        code = command.run(parser.parse_args(words), {**usual, **environment}, io.StringIO(stdin), out, err)
        return Typed(code, out.getvalue(), err.getvalue())

    return type_it


def emitted(broker: FakeBroker) -> Emit:
    (body,) = broker.bodies()
    assert isinstance(body, Emit)
    return body


def test_to_a_room(typed: Type, broker: FakeBroker) -> None:
    result = typed("progress", '{"done": 3}', "--to", "job-17")
    assert (result.code, result.err) == (0, "")
    assert result.out == "delivered to the broker: progress to job-17 in /\n"
    assert emitted(broker) == Emit(2, "/", "json", b'["progress",{"done":3}]', rooms=("job-17",))
    assert len(broker.marks()) == 1


def test_everything_that_can_be_said(typed: Type, broker: FakeBroker) -> None:
    result = typed(
        "e", "1", '"two"', "--to", "a", "--to", "b", "--to-number", "7", "--skip-sid", SID, "--namespace", "/x",
        "--volatile",
    )  # fmt: skip
    assert result.out == "delivered to the broker: e to a, b, 7 in /x\n"
    assert emitted(broker) == Emit(
        2, "/x", "json", b'["e",1,"two"]', rooms=("a", "b", 7), except_sids=(SID,), volatile=True
    )


def test_to_everybody_has_to_be_said(typed: Type, broker: FakeBroker) -> None:
    assert typed("e", "--all").out == "delivered to the broker: e to everybody in /\n"
    assert emitted(broker).rooms is None
    for words in (["e"], ["e", "--all", "--to", "room"]):
        result = typed(*words)
        assert result.code == 2
        assert "to whom? Say --to ROOM, or --all" in result.err


def test_data_from_standard_input(typed: Type, broker: FakeBroker) -> None:
    typed("e", "-", "--all", stdin='{"secret": 1}\n')
    assert emitted(broker).args == b'["e",{"secret":1}]'


def test_what_is_said_beats_the_environment(typed: Type) -> None:
    other = FakeBroker("other", "there")
    assert typed("e", "--all", "--url", "fake://other", "--cluster", "there").code == 0
    assert emitted(other)


@pytest.mark.parametrize("place", ["file", "environment"])
def test_keys(place: str, typed: Type, broker: FakeBroker, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("first\n")
    words = ["--key-file", str(path)] if place == "file" else []
    environment = {"ROOMCAST_KEYS": "unused" if words else "first , second"}
    assert typed("e", "--all", *words, **environment).code == 0
    reader = EnvelopeCodec(new_origin("test"), "shop", KeyRing(["first"]))
    assert all(reader.decode(channel, payload).signed for channel, payload in broker.messages)


@pytest.mark.parametrize(
    ("words", "environment", "text"),
    [
        (["e", "{", "--all"], {}, "argument 1 is no JSON"),
        (["e", "1", "hello", "--all"], {}, "argument 2 is no JSON: "),
        (["connect", "--all"], {}, "'connect' is a reserved event name"),
        (["e", "--all"], {"ROOMCAST_BROKER": ""}, "which broker? ROOMCAST_BROKER is not set"),
        (["e", "--all", "--url", "fkae://secret@x"], {}, "no broker serves fkae://; did you mean fake://?"),
        (["e", "--all", "--cluster", "a b"], {}, "the name of a cluster"),
        (["e", "--all", "--key-file", "no/such/file"], {}, "No such file"),
        (["e", "--all", "--wait", "nan"], {}, "max_buffer_seconds"),
    ],
)
def test_wrong_use_is_explained(words: list[str], environment: dict[str, str], text: str, typed: Type) -> None:
    result = typed(*words, **environment)
    assert (result.code, result.out) == (2, "")
    assert text in result.err
    assert result.err.startswith("roomcast emit: ")
    assert "secret" not in result.err


@pytest.mark.parametrize("wait", ["0", "0.05"])
def test_a_broker_that_is_away(wait: str, typed: Type, broker: FakeBroker) -> None:
    broker.up = False
    result = typed("e", "--all", "--wait", wait)
    assert (result.code, result.out) == (1, "")
    assert result.err == "not delivered: the broker was away: e to everybody in /\n"


def test_the_module_is_a_command_too() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "roomcast_emitter", "e", "--all"],
        cwd=ROOT, capture_output=True, text=True, check=False, env=without_broker(),
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stderr == "roomcast emit: which broker? ROOMCAST_BROKER is not set\n"


def without_broker() -> dict[str, str]:
    path = os.pathsep.join(str(ROOT / each) for each in ("brokers", "emitter"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ROOMCAST")}
    return {**kept, "PYTHONPATH": path}


def test_the_module_in_this_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("ROOMCAST_BROKER", raising=False)
    assert command.main(["e", "--all"]) == 2
    assert capsys.readouterr().err == "roomcast emit: which broker? ROOMCAST_BROKER is not set\n"

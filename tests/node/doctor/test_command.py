"""The command line."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import pytest

import roomcast
from roomcast import cli
from roomcast.doctor import command
from roomcast.doctor.options import Options
from roomcast.errors import SettingsError
from tests.support.cluster_nodes import ThreadServers
from tests.support.services import free_port


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def read(*words: str, environment: dict[str, str] | None = None, stdin: str = "") -> Options:
    return command.read(parsed(*words), environment or {}, io.StringIO(stdin))


def run(*words: str) -> tuple[int, str]:
    out = io.StringIO()
    return command.run(parsed(*words), {}, io.StringIO(), out), out.getvalue()


def test_defaults() -> None:
    options = read("http://x")
    assert (options.target.shown, options.namespace, options.auth) == ("http://x/socket.io/", "/", None)
    assert (options.origins, options.headers, options.broker, options.cluster) == ((), (), None, "socketio")
    assert (options.keys, options.wait, options.quick) == ((), 60.0, False)


def test_everything(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"secret\n")
    options = read(
        *("https://x", "--path", "/rt", "--namespace", "/chat", "--auth", "-", "--serializer", "msgpack"),
        *("--origin", "https://a", "--origin", "https://b", "--header", "X-Key: k", "--ca", str(key)),
        *("--broker", "redis://h", "--cluster", "c", "--key-file", str(key), "--wait", "5", "--quick"),
        stdin='{"token": "t"}',
    )
    assert options.target.shown == "https://x/rt/"
    assert (options.namespace, options.auth, options.serializer) == ("/chat", {"token": "t"}, "msgpack")
    assert (options.origins, options.headers) == (("https://a", "https://b"), (("X-Key", "k"),))
    assert (options.authority, options.broker, options.cluster, options.keys) == (key, "redis://h", "c", (b"secret",))
    assert (options.wait, options.quick) == (5.0, True)


def test_the_environment_of_nodes() -> None:
    environment = {"ROOMCAST_BROKER": "redis://env", "ROOMCAST_CLUSTER": "env", "ROOMCAST_KEYS": "a, b"}
    options = read("http://x", environment=environment)
    assert (options.broker, options.cluster, options.keys) == ("redis://env", "env", ("a", "b"))
    assert read("http://x", "--broker", "redis://said", environment=environment).broker == "redis://said"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("x",), "must begin with"),
        (("http://x", "--wait", "0"), "--wait"),
        (("http://x", "--broker", "memory://"), "within one process"),
        (("http://x", "--broker", "rediss"), "named by a URL"),
        (("http://x", "--broker", "reddis://pw@h"), "did you mean redis://"),
        (("http://x", "--cluster", "a b"), "name of a cluster"),
        (("http://x", "--key-file", "/nowhere/key"), "/nowhere/key: No such file"),
        (("https://x", "--ca", "/nowhere/ca"), "/nowhere/ca: No such file"),
        (("http://x", "--auth", "token"), "--auth"),
    ],
)
def test_what_cannot_be_looked_at(words: tuple[str, ...], text: str) -> None:
    with pytest.raises(SettingsError, match=text) as caught:
        read(*words)
    assert "pw" not in str(caught.value)


def test_an_empty_key_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"\n")
    with pytest.raises(SettingsError, match="empty"):
        read("http://x", "--key-file", str(file))


def test_lines() -> None:
    code, text = run(f"http://bob:hunter2@127.0.0.1:{free_port()}", "--quick")
    lines = text.splitlines()
    assert code == 2
    assert lines[0].endswith("/socket.io/ takes 65 s at most")
    assert lines[1].startswith("WRONG    reachable       127.0.0.1:")
    assert lines[2].startswith("                         → ")
    assert lines[-1] == "1 wrong, 0 ok, 4 not looked at"
    assert "hunter2" not in text


def test_json_of_a_node_that_is_well() -> None:
    with ThreadServers({"aaaa": roomcast.AsyncServer(tag="aaaa", namespaces="*")}) as nodes:
        code, text = run(nodes[0].url, "--quick", "--json")
    found = json.loads(text)
    assert (code, found["exit"], found["level"], found["url"]) == (0, 0, "ok", f"{nodes[0].url}/socket.io/")
    assert {"check": "path", "level": "ok"}.items() <= found["findings"][1].items()


def test_what_a_server_repeats_is_struck_out() -> None:
    sio = roomcast.AsyncServer()

    @sio.event
    def connect(sid: str, environ: object, auth: dict[str, str]) -> None:
        raise roomcast.exceptions.ConnectionRefusedError(f"{auth['token']} is no token of ours")

    with ThreadServers({"aaaa": sio}) as nodes:
        code, text = run(nodes[0].url, "--quick", "--auth", '{"token": "very-secret"}')
    assert code == 2
    assert '/ refuses a client: "*** is no token of ours"' in text


def test_it_is_a_command_of_roomcast(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", f"http://127.0.0.1:{free_port()}", "--quick"]) == 2
    assert "WRONG    reachable" in capsys.readouterr().out
    assert cli.main(["doctor", "nothing"]) == 2
    assert "roomcast: the URL must begin with" in capsys.readouterr().err

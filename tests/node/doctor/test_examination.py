"""The order of it all, on real servers in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import roomcast
from roomcast.doctor import examination
from roomcast.doctor.examination import Examination, examine
from roomcast.doctor.findings import Finding, Level
from roomcast.doctor.options import Options
from roomcast.doctor.probing import observing
from roomcast.doctor.target import parse_target
from roomcast.errors import SettingsError
from tests.support.cluster_nodes import ThreadServers, new_cluster
from tests.support.inprocess import Node, Way
from tests.support.patience import PATIENCE
from tests.support.scripted_http import scripted
from tests.support.services import free_port

OK, SKIPPED, WARNING, WRONG = Level.OK, Level.SKIPPED, Level.WARNING, Level.WRONG
LONG = 60.0
SHORT = 0.2


async def levels(url: str, most: float = LONG, **asked: Any) -> dict[str, Level]:
    """How each check came out; each is told once."""
    found: list[Finding] = []
    options = Options(**{"target": parse_target(url), "cluster": "socketio", "wait": LONG, "quick": True, **asked})
    await examine(options, found.append, most)
    checks = [finding.check for finding in found]
    assert len(set(checks)) == len(checks)
    return {finding.check: finding.level for finding in found}


async def test_nobody_is_there() -> None:
    assert await levels(f"http://127.0.0.1:{free_port()}") == {
        "reachable": WRONG,
        "path": SKIPPED,
        "all else": SKIPPED,
        "broker": SKIPPED,
        "clock": SKIPPED,
    }


async def test_one_node() -> None:
    async with Node(roomcast.AsyncServer(namespaces="*", ping_interval=0.1), Way()) as served:
        found = await levels(served.base, quick=False)
        await served.empty()
    assert found.pop("broker") is SKIPPED
    assert found == dict.fromkeys(found, OK)
    assert set(found) == {
        "reachable",
        "path",
        "version",
        "stickiness",
        "websocket",
        "upgrade",
        "namespace",
        "buffering",
        "origin",
        "idle websocket",
        "held poll",
        "clock",
    }


async def test_websockets_alone() -> None:
    async with Node(roomcast.AsyncServer(namespaces="*", transports=["websocket"]), Way()) as served:
        found = await levels(served.base)
        await served.empty()
    assert found["path"] is found["websocket"] is found["namespace"] is found["origin"] is OK
    assert found["stickiness"] is found["held poll"] is SKIPPED
    assert not {"upgrade", "buffering"} & set(found)


async def test_polling_alone() -> None:
    async with Node(roomcast.AsyncServer(namespaces="*", transports=["polling"]), Way()) as served:
        found = await levels(served.base, quick=False, wait=SHORT)
        await served.empty()
    assert found["websocket"] is found["upgrade"] is found["namespace"] is found["buffering"] is OK
    assert found["idle websocket"] is SKIPPED
    assert found["held poll"] is WARNING  # watched for less than one interval


async def test_an_application_that_wants_to_know_who_comes() -> None:
    sio = roomcast.AsyncServer()
    sio.on("connect", lambda sid, environ, auth=None: auth == {"token": "t"})
    async with Node(sio, Way()) as served:
        assert (await levels(served.base))["namespace"] is WARNING
        assert (await levels(served.base, auth={"token": "x"}))["namespace"] is WRONG
        assert (await levels(served.base, auth={"token": "t"}))["namespace"] is OK


@pytest.fixture
def nobody_else_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """So nobody needs to be waited for who was not met."""
    monkeypatch.setattr(observing, "HEARD_AT_LEAST", SHORT)
    monkeypatch.setattr(observing, "HEARD_AT_MOST", PATIENCE)


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "HEARD_AT_MOST", SHORT)
    monkeypatch.setattr(observing, "REACH_BROKER", SHORT)


def servers(cluster: str, *tags: str, **more: Any) -> ThreadServers:
    options = {"broker": f"memory://{cluster}", "cluster": cluster, "namespaces": "*", "beat_interval": 0.05, **more}
    return ThreadServers({tag: roomcast.AsyncServer(tag=tag, **options) for tag in tags})


async def test_a_cluster(nobody_else_is_there: None) -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa") as nodes:
        found = await levels(nodes[0].url, broker=f"memory://{cluster}", cluster=cluster)
    assert (found["broker"], found["nodes"], found["emit"]) == (OK, OK, OK)


async def test_a_node_that_no_client_comes_to() -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa", "bbbb") as nodes:
        found = await levels(nodes[0].url, broker=f"memory://{cluster}", cluster=cluster)
    assert (found["broker"], found["nodes"], found["emit"]) == (OK, WARNING, OK)


async def test_a_node_on_another_broker(in_a_hurry: None) -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa") as nodes:
        found = await levels(nodes[0].url, broker=f"memory://other-{cluster}", cluster=cluster)
    assert (found["broker"], found["nodes"], found["emit"]) == (OK, WRONG, SKIPPED)


async def test_a_cluster_that_lets_nobody_in(nobody_else_is_there: None) -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa", namespaces=None) as nodes:
        found = await levels(nodes[0].url, namespace="/no", broker=f"memory://{cluster}", cluster=cluster)
    assert (found["namespace"], found["nodes"], found["emit"]) == (WARNING, OK, SKIPPED)


async def test_a_broker_that_is_away(in_a_hurry: None) -> None:
    async with Node(roomcast.AsyncServer(namespaces="*"), Way()) as served:
        found = await levels(served.base, broker=f"redis://127.0.0.1:{free_port()}")
    assert found["broker"] is WRONG
    assert not {"nodes", "emit"} & set(found)


async def test_the_broker_is_looked_at_also_where_nobody_answers() -> None:
    cluster = new_cluster()
    with servers(cluster, "aaaa"):
        found = await levels(f"http://127.0.0.1:{free_port()}", broker=f"memory://{cluster}", cluster=cluster)
    assert (found["reachable"], found["broker"], found["nodes"], found["emit"]) == (WRONG, OK, OK, SKIPPED)


async def test_it_ends_in_time_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted(keep=True) as (_, port):
        assert await levels(f"http://127.0.0.1:{port}", most=SHORT) == {"time": WRONG}
        monkeypatch.setattr(examination, "REACH_SECONDS", SHORT)
        assert await levels(f"http://127.0.0.1:{port}") == {"reachable": WRONG}


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("hello")
    options = Options(target=parse_target("https://x"), authority=file, cluster="socketio", wait=1)
    told: list[Finding] = []
    with pytest.raises(SettingsError, match="--ca"):
        Examination(options, told.append)

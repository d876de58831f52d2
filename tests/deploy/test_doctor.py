"""The doctor at real deployments: one that is well, and each of those that are set up wrongly on purpose.

Three nodes and Redis stand for all of them; what differs is the nginx or HAProxy in front. A deployment that is broken
in one way must be told that one thing, and nothing else.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

import roomcast
from tests.support.cluster_nodes import ThreadServers
from tests.support.doctor import Report, examined
from tests.support.proxies import Haproxy, Nginx, Proxy
from tests.support.server import ROOT, ServerProcess
from tests.support.services import RedisServer, free_port

TAGS = ("aaaa", "bbbb", "cccc")
CLUSTER = "deployment"
PING_INTERVAL, PING_TIMEOUT = 1.0, 20.0
APP = "tests.deploy.doctor_app:make"

UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
HOST = "proxy_set_header Host $http_host;"


class Deployment:
    """Three nodes and their broker."""

    def __init__(self) -> None:
        self.redis = RedisServer()
        options = json.dumps({"ping_interval": PING_INTERVAL, "ping_timeout": PING_TIMEOUT})
        environment = {"ROOMCAST_CLUSTER": CLUSTER, "ROOMCAST_BROKER": self.redis.url, "OPTIONS": options}
        self.nodes = [
            ServerProcess(APP, "fast", env={**environment, "ROOMCAST_TAG": tag}, arguments=["--factory"])
            for tag in TAGS
        ]

    def start(self) -> None:
        self.redis.start()
        with ThreadPoolExecutor() as pool:
            list(pool.map(ServerProcess.start, self.nodes))

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
            node.close()
        self.redis.close()

    @property
    def upstream(self) -> str:
        """For nginx: one node after the other, whoever asks."""
        servers = "".join(f"server 127.0.0.1:{node.port};" for node in self.nodes)
        return f"upstream nodes {{ {servers} }}"

    @property
    def by_tag(self) -> str:
        """For nginx: the node that the sid names, any other one for new clients."""
        nodes = "".join(f'"~^{tag}" 127.0.0.1:{node.port};' for tag, node in zip(TAGS, self.nodes, strict=True))
        return f"{self.upstream} map $arg_sid $node {{ default nodes; {nodes} }}"

    @property
    def learning(self) -> str:
        """For HAProxy: it learns from ``X-Roomcast-Node`` which node a tag is."""
        lines = [f"server {tag} 127.0.0.1:{node.port}" for tag, node in zip(TAGS, self.nodes, strict=True)]
        return "\n    ".join(
            (
                "balance roundrobin",
                "stick-table type string len 4 size 10k expire 1h",
                "stick store-response res.hdr(X-Roomcast-Node)",
                "stick match urlp(sid),bytes(0,4)",
                *lines,
            )
        )


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    deployment = Deployment()
    try:
        deployment.start()
        yield deployment
    finally:
        deployment.close()


def behind(proxy: Proxy, *arguments: str) -> Report:
    with proxy:
        return examined(proxy.url, *arguments)


def broker(deployment: Deployment) -> Sequence[str]:
    return "--broker", deployment.redis.url, "--cluster", CLUSTER


def test_haproxy_that_is_set_up_right(deployment: Deployment) -> None:
    """The command as people run it: a process of its own, and lines."""
    with Haproxy("", deployment.learning) as proxy:
        done = subprocess.run(
            [sys.executable, "-m", "roomcast", "doctor", proxy.url, *broker(deployment)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert done.stdout.splitlines()[-1] == "15 ok"
    for words in (
        "48 requests of 12 polling sessions came to the node of the session",
        "nodes aaaa, bbbb and cccc are behind the balancer and on the broker",
        "what was emitted through the broker reached clients on aaaa, bbbb and cccc",
    ):
        assert words in done.stdout
    assert not re.search(rf"({'|'.join(TAGS)})[\w-]{{16}}", done.stdout)  # no sid


def test_nginx_that_is_set_up_right(deployment: Deployment) -> None:
    location = f"location / {{ proxy_pass http://$node; {UPGRADE} {HOST} }}"
    report = behind(Nginx(location, deployment.by_tag))
    assert report.exit == 0, report
    assert report.checks("skipped") == ["broker"]
    assert set(report.told("stickiness")["facts"]["nodes"]) == set(TAGS)
    assert "nginx" in report.told("path")["text"]


def test_no_stickiness(deployment: Deployment) -> None:
    report = behind(
        Nginx(f"location / {{ proxy_pass http://nodes; {UPGRADE} {HOST} }}", deployment.upstream), *broker(deployment)
    )
    assert report.checks("wrong", "warning") == ["stickiness"], report
    assert "lost their node" in report.told("stickiness")["text"]
    assert report.told("emit")["level"] == "ok"


def test_stickiness_for_those_who_keep_cookies(deployment: Deployment) -> None:
    cookies = "\n    ".join(
        (
            "balance roundrobin",
            "cookie node insert indirect nocache",
            *(
                f"server {tag} 127.0.0.1:{node.port} cookie {tag}"
                for tag, node in zip(TAGS, deployment.nodes, strict=True)
            ),
        )
    )
    report = behind(Haproxy("", cookies), "--quick")
    assert report.checks("wrong", "warning") == ["stickiness"], report
    assert report.told("stickiness")["text"].startswith("only sessions with cookies stay on their node")


def test_upgrade_headers_are_missing(deployment: Deployment) -> None:
    report = behind(
        Nginx(f"location / {{ proxy_pass http://$node; {HOST} }}", deployment.by_tag), "--quick", *broker(deployment)
    )
    assert report.checks("wrong", "warning") == ["websocket"], report
    assert "without its Upgrade header" in report.told("websocket")["text"]
    assert report.told("emit")["level"] == "ok"  # by polling


def test_a_short_time_out() -> None:
    """Of a second, where the server's first ping comes after 20."""
    node = roomcast.AsyncServer(tag="aaaa", ping_interval=20, ping_timeout=10, namespaces="*")
    with ThreadServers({"aaaa": node}) as nodes:
        location = f"location / {{ proxy_pass {nodes[0].url}; proxy_read_timeout 1s; {UPGRADE} {HOST} }}"
        report = behind(Nginx(location))
    assert report.checks("wrong", "warning") == ["held poll", "idle websocket"], report
    for check in ("held poll", "idle websocket"):
        found = report.told(check)
        assert 1 <= found["facts"]["cut_after"] < 20
        assert f"after {found['facts']['cut_after']:.1f} s of silence; the server pings each 20 s" in found["text"]
        assert "above pingInterval + pingTimeout = 30 s" in found["advice"]


def test_a_wrong_path(deployment: Deployment) -> None:
    location = f"location /ws/ {{ proxy_pass http://nodes/; {UPGRADE} {HOST} }} location / {{ return 404; }}"
    report = behind(Nginx(location, deployment.upstream))
    assert report.checks("wrong", "warning") == ["path"], report
    assert report.told("path")["text"].endswith("answers 404; Engine.IO answers at /ws/socket.io/")


def test_a_broker_that_cannot_be_reached_from_here(deployment: Deployment) -> None:
    url = f"redis://:very-secret@127.0.0.1:{free_port()}"
    with Haproxy("", deployment.learning) as proxy:
        report = examined(proxy.url, "--quick", "--broker", url)
    assert report.checks("wrong", "warning") == ["broker"], report
    assert "very-secret" not in str(report)


def test_a_broker_that_the_nodes_do_not_reach(deployment: Deployment) -> None:
    """It serves its own clients, and nothing but its beats tells that it is alone."""
    away = f"redis://127.0.0.1:{free_port()}"
    alone = roomcast.AsyncServer(tag="zzzz", broker=away, cluster=CLUSTER, namespaces="*")
    with ThreadServers({"zzzz": alone}) as nodes:
        report = examined(nodes[0].url, "--quick", *broker(deployment))
    assert report.checks("wrong", "warning") == ["nodes"], report
    assert report.told("nodes")["text"].startswith("node zzzz is behind the balancer but not on the broker")


def test_an_origin_is_refused(deployment: Deployment) -> None:
    with Haproxy("", deployment.learning) as proxy:
        report = examined(proxy.url, "--quick", "--origin", "https://shop.example.com")
    assert report.checks("wrong", "warning") == ["origin"], report
    assert report.told("origin")["text"] == "pages of https://shop.example.com are refused: the node answers 400"


def test_a_proxy_that_does_not_say_by_which_name_it_is_called(deployment: Deployment) -> None:
    report = behind(Nginx(f"location / {{ proxy_pass http://$node; {UPGRADE} }}", deployment.by_tag), "--quick")
    assert report.checks("wrong", "warning") == ["origin"], report
    assert "X-Forwarded-Host" in report.told("origin")["advice"]


def test_no_node_behind_the_balancer() -> None:
    report = behind(Haproxy("", f"retries 0\n    server away 127.0.0.1:{free_port()}"), "--quick")
    assert report.checks("wrong", "warning") == ["path"], report
    assert report.told("path")["text"] == "HAProxy answers 503: the balancer reaches no node"

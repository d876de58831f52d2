from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from roomcast_brokers.backends.redis.finding import find, find_blocking
from roomcast_brokers.backends.redis.layout import Layout, Server
from roomcast_brokers.backends.redis.location import Location, parse
from roomcast_brokers.errors import BrokerUnreachableError
from tests.support.redis_groups import Cluster, Sentinels
from tests.support.services import RedisServer, free_port

Find = Callable[[Location], Layout]


def find_in_a_loop(location: Location) -> Layout:
    return asyncio.run(find(location))


@pytest.fixture(params=[find_in_a_loop, find_blocking], ids=["asyncio", "blocking"])
def finding(request: pytest.FixtureRequest) -> Find:
    found: Find = request.param
    return found


@pytest.fixture(scope="module")
def sentinels() -> Iterator[Sentinels]:
    with Sentinels(password="secret") as group:
        yield group


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(password="secret") as group:
        yield group


def test_one_server_is_where_the_url_says(finding: Find) -> None:
    layout = finding(parse("redis://h:1"))
    assert layout.servers == (Server("h", 1),)
    assert not layout.sharded


def test_no_sentinel_there(finding: Find) -> None:
    location = parse(f"redis+sentinel://:hidden@127.0.0.1:{free_port()},127.0.0.1:{free_port()}/0/orders")
    with pytest.raises(BrokerUnreachableError, match="no Sentinel that answers knows a master of the service 'orders'"):
        finding(location)


def test_no_cluster_there(finding: Find) -> None:
    with pytest.raises(BrokerUnreachableError, match="none of the servers answers"):
        finding(parse(f"redis+cluster://:hidden@127.0.0.1:{free_port()},127.0.0.1:{free_port()}"))


def test_a_server_that_is_in_no_cluster(finding: Find, shared: RedisServer) -> None:
    with pytest.raises(BrokerUnreachableError, match="none of the servers answers"):
        finding(parse(f"{shared.url}?cluster=true"))


@pytest.mark.long
def test_sentinels_name_the_master(finding: Find, sentinels: Sentinels) -> None:
    assert finding(parse(sentinels.url)).servers == (Server("127.0.0.1", sentinels.master.port),)


@pytest.mark.long
def test_one_of_the_sentinels_is_enough(finding: Find, sentinels: Sentinels) -> None:
    url = sentinels.url.replace("127.0.0.1", f"127.0.0.1:{free_port()},127.0.0.1", 1)
    assert finding(parse(url)).servers == (Server("127.0.0.1", sentinels.master.port),)


@pytest.mark.long
def test_a_service_that_no_sentinel_knows(finding: Find, sentinels: Sentinels) -> None:
    with pytest.raises(BrokerUnreachableError, match="the service 'unknown'"):
        finding(parse(sentinels.url.replace(sentinels.service, "unknown")))


@pytest.mark.long
def test_a_cluster_is_found_from_one_node(finding: Find, cluster: Cluster) -> None:
    layout = finding(parse(f"redis://:secret@127.0.0.1:{cluster.servers[1].port}?cluster=true"))
    assert layout.sharded
    assert {server.port for server in layout.servers} == {server.port for server in cluster.servers}
    for channel in ("a", "b", "c", "d"):
        assert layout.owner(channel).port == cluster.owner(channel).port


@pytest.mark.long
def test_the_wrong_password_of_a_cluster(finding: Find, cluster: Cluster) -> None:
    with pytest.raises(BrokerUnreachableError) as caught:
        finding(parse(cluster.url.replace("secret", "hidden")))
    assert "hidden" not in str(caught.value)

from __future__ import annotations

from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast_brokers.backends.kafka.partitions import is_topic, slot_of, topic_of
from roomcast_brokers.channels import SHARDS, Channels
from roomcast_brokers.errors import AddressError


def test_the_slots_that_all_processes_agree_on() -> None:
    """cluster.md 1: these are the protocol's."""
    channels = Channels("shop", shards=True)
    assert slot_of(channels.everyone) == 0
    assert [slot_of(f"shop:shard:{number}") for number in range(SHARDS)] == list(range(SHARDS))
    for tag in ("aB-_", "node", "0000"):
        digest = blake2b(tag.encode(), digest_size=16).digest()
        assert slot_of(channels.node(tag)) == int.from_bytes(digest) % SHARDS
    assert slot_of(channels.node("aB-_")) == 207


def test_a_room_is_where_its_shard_is() -> None:
    shards, rooms = Channels("shop", shards=True), Channels("shop")
    for number in range(50):
        shard = shards.room("/", f"room {number}")
        assert shard == f"shop:shard:{slot_of(shard)}"
        assert 0 <= slot_of(rooms.room("/", f"room {number}")) < SHARDS


@given(st.text(max_size=40))
def test_whatever_a_channel_is_called_it_has_a_slot(rest: str) -> None:
    channel = f"c:{rest}"
    try:
        channel.encode()
    except UnicodeEncodeError:
        return
    assert 0 <= slot_of(channel) < SHARDS


@pytest.mark.parametrize("channel", ["c:shard:", "c:shard:x", "c:shard:-1", "c:shard:1000", "c:shard:1:2", "c:", "c"])
def test_what_looks_like_a_shard_and_is_none_has_one_too(channel: str) -> None:
    assert 0 <= slot_of(channel) < SHARDS


def test_the_topic_is_the_cluster() -> None:
    assert topic_of("shop:all") == "shop"
    assert topic_of("my.shop_2-x:shard:7") == "my.shop_2-x"
    assert topic_of("shop") == "shop"


@pytest.mark.parametrize("channel", ["", ":all", "a b:all", "..:all", ".:all", "ü:all", "a/b:all", "x" * 250 + ":all"])
def test_channels_without_a_topic(channel: str) -> None:
    with pytest.raises(AddressError):
        topic_of(channel)


def test_names_of_topics() -> None:
    assert all(map(is_topic, ["a", "A.b_c-9", "x" * 249, "...", ".a"]))
    assert not any(map(is_topic, ["", ".", "..", "a\n", "a b", "x" * 250]))

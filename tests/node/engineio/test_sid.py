"""Session ids: 20 characters, unguessable, never twice."""

from __future__ import annotations

import re

import pytest

from roomcast.engineio.sid import POOL_BYTES, RANDOM_BYTES, SidSource, check_tag
from roomcast.errors import SettingsError

MANY = 3 * POOL_BYTES // RANDOM_BYTES


@pytest.mark.parametrize("tag", [None, "AZ_-", "a0b9"])
def test_an_id_is_the_tag_and_96_bits(tag: str | None) -> None:
    source = SidSource(tag)
    ids = [source.new() for _ in range(MANY)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{20}", id) for id in ids)
    assert {id[:4] for id in ids} == {source.tag}
    assert tag in (None, source.tag)
    assert len(set(ids)) == MANY
    for at in range(4, 20):
        assert len({id[at] for id in ids}) > 16, "every character is random"


def test_nodes_have_different_tags() -> None:
    assert len({SidSource().tag for _ in range(100)}) > 90


@pytest.mark.parametrize("tag", ["", "abc", "abcde", "ab d", "äbcd", "abc\n", "abcd\n", "ab+/"])
def test_a_tag_that_cannot_be(tag: str) -> None:
    with pytest.raises(SettingsError, match=r"^tag: a node's tag is 4 characters"):
        SidSource(tag)


@pytest.mark.parametrize("tag", [None, 1234, b"node", "abc"])
def test_a_tag_is_checked_for_whoever_took_it(tag: object) -> None:
    assert check_tag("AZ_-", "the order") == "AZ_-"
    with pytest.raises(SettingsError) as error:
        check_tag(tag, "the order")
    assert str(error.value) == f"the order: a node's tag is 4 characters out of A-Z a-z 0-9 _ -, not {tag!r}"


def test_a_forked_child_draws_its_own() -> None:
    source = SidSource("node")
    source.new()
    parent, child = SidSource("node"), SidSource("node")
    for copy in (parent, child):
        copy._pool, copy._at = source._pool, source._at
    child.forget()
    ours = {parent.new() for _ in range(MANY)}
    assert not ours & {child.new() for _ in range(MANY)}

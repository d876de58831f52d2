"""The head of a packet in text, read strictly and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast.errors import PacketError
from roomcast.socketio.grammar import MAX_ID, Head, read_head, read_id, write_head


@pytest.mark.parametrize(
    ("text", "head"),
    [
        (b"0", Head(0, 0, "/", None, 1)),
        (b"1", Head(1, 0, "/", None, 1)),
        (b'2["x"]', Head(2, 0, "/", None, 1)),
        (b'212["x"]', Head(2, 0, "/", 12, 3)),
        (b'2007["x"]', Head(2, 0, "/", 7, 4)),
        (b'2/admin,["x"]', Head(2, 0, "/admin", None, 8)),
        (b'2/,["x"]', Head(2, 0, "/", None, 3)),
        (b'2/admin,12["x"]', Head(2, 0, "/admin", 12, 10)),
        (b'2/["x"]', Head(2, 0, '/["x"]', None, 7)),
        (b"0/custom", Head(0, 0, "/custom", None, 8)),
        (b"0/custom,", Head(0, 0, "/custom", None, 9)),
        (b"0/custom?x=1,{}", Head(0, 0, "/custom?x=1", None, 13)),
        ("0/größe,{}".encode(), Head(0, 0, "/größe", None, 10)),
        (b"51-[]", Head(5, 1, "/", None, 3)),
        (b"610-/a,3[]", Head(6, 10, "/a", 3, 8)),
        (b"501-[]", Head(5, 1, "/", None, 4)),
        (b'2 ["x"]', Head(2, 0, "/", None, 1)),
    ],
)
def test_a_head_is_read(text: bytes, head: Head) -> None:
    assert read_head(text, 0, 10) == head


def test_a_head_begins_anywhere() -> None:
    assert read_head(b'42/a,1["x"]', 1, 10) == Head(2, 0, "/a", 1, 6)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (b"", "type"),
        (b"7", "type"),
        (b"abc", "type"),
        (b"\xd9\xa2[]", "type"),
        (b" 2[]", "type"),
        (b"5-[]", "attachments"),
        (b"51[]", "attachments"),
        (b"51.5-[]", "attachments"),
        (b"5[]", "attachments"),
        (b"50-[]", "attachments"),
        (b"5000-[]", "attachments"),
        (b"511-[]", "attachments"),
        (b"599999999999-[]", "attachments"),
        (b"21-[]", "attachments"),
        (b"2/\xff,[]", "namespace"),
        (b"2/\xed\xa0\x80,[]", "namespace"),
        (b"0/a\x1e,", "namespace"),
        (b"2/a\n,[]", "namespace"),
        (b"29007199254740992[]", "id"),
        (b"200000000000000001[]", "id"),
    ],
)
def test_a_head_is_refused(text: bytes, kind: str) -> None:
    with pytest.raises(PacketError) as caught:
        read_head(text, 0, 10)
    assert caught.value.kind == kind


@pytest.mark.parametrize(("limit", "count"), [(10, 9), (10, 10), (1_000, 1_000), (1, 1)])
def test_so_many_attachments_are_permitted(limit: int, count: int) -> None:
    assert read_head(b"5%d-[]" % count, 0, limit).attachments == count


@pytest.mark.parametrize("limit", [1, 10, 1_000])
def test_one_attachment_more_is_refused(limit: int) -> None:
    with pytest.raises(PacketError, match=f"1 to {limit} attachments"):
        read_head(b"5%d-[]" % (limit + 1), 0, limit)


def test_an_id_is_at_most_the_largest_exact_number_of_javascript() -> None:
    assert MAX_ID == 9007199254740991
    assert read_id(b"9007199254740990") == MAX_ID - 1
    assert read_id(b"9007199254740991") == MAX_ID
    with pytest.raises(PacketError, match="2\\^53-1"):
        read_id(b"9007199254740992")


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (write_head(0, "/"), b"0"),
        (write_head(1, "/admin"), b"1/admin,"),
        (write_head(2, "/", 0), b"20"),
        (write_head(2, "/größe", 12), "2/größe,12".encode()),
        (write_head(5, "/", None, 2), b"52-"),
        (write_head(6, "/a", 7, 1), b"61-/a,7"),
        (write_head(2, "/\ud800"), b"2/?,"),
    ],
)
def test_a_head_is_written(head: bytes, text: bytes) -> None:
    assert head == text


@given(
    type=st.sampled_from([0, 1, 2, 3, 5, 6]),
    namespace=st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters=",")).map(lambda t: "/" + t),
    id=st.none() | st.integers(0, MAX_ID),
    count=st.integers(1, 10),
)
def test_what_was_written_is_read_again(type: int, namespace: str, id: int | None, count: int) -> None:
    text = write_head(type, namespace, id, count)
    assert read_head(text + b"[]", 0, 10) == Head(type, count if type > 4 else 0, namespace, id, len(text))

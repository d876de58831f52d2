from __future__ import annotations

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomcast_brokers.backends.redis.replies import (
    MAX_REFUSAL,
    PublishReplies,
    check_greeting,
    check_role,
    greeting,
    refusal,
)
from roomcast_brokers.errors import BrokerUnreachableError

OK = b"OK"


def error(text: str) -> Exception:
    found: Exception = hiredis.ReplyError(text)
    return found


@pytest.mark.parametrize(
    ("credentials", "master", "commands"),
    [
        ((), False, [("CLIENT", "SETNAME", "me")]),
        (("pw",), False, [("AUTH", "pw"), ("CLIENT", "SETNAME", "me")]),
        (("user", "pw"), True, [("AUTH", "user", "pw"), ("CLIENT", "SETNAME", "me"), ("ROLE",)]),
    ],
)
def test_greeting(credentials: tuple[str, ...], master: bool, commands: list[tuple[str, ...]]) -> None:
    assert greeting(credentials, "me", master=master) == commands


@pytest.mark.parametrize(
    "replies",
    [
        [OK, OK, [b"master", 0, []]],
        [OK, error("NOPERM this user has no permissions to run the 'client|setname' command"), [b"master"]],
        [OK, error("ERR unknown command 'CLIENT'"), error("ERR unknown command 'ROLE'")],
    ],
)
def test_a_server_that_will_do(replies: list[object]) -> None:
    check_greeting(greeting(("pw",), "me", master=True), replies)


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([error("WRONGPASS invalid username-password pair"), OK, [b"master"]], "refuses: WRONGPASS"),
        ([error("ERR unknown command 'AUTH'"), OK, [b"master"]], "refuses: ERR unknown"),
        ([OK, error("NOAUTH Authentication required."), [b"master"]], "refuses: NOAUTH"),
        ([OK, error("LOADING Redis is loading the dataset in memory"), [b"master"]], "refuses: LOADING"),
        ([OK, OK, [b"slave", b"h", 6379]], "no master any more"),
    ],
)
def test_a_server_that_will_not(replies: list[object], why: str) -> None:
    with pytest.raises(BrokerUnreachableError, match=why):
        check_greeting(greeting(("pw",), "me", master=True), replies)


@pytest.mark.parametrize("reply", [[], [b"sentinel"], None, b"master"])
def test_no_master(reply: object) -> None:
    with pytest.raises(BrokerUnreachableError):
        check_role(reply)


def test_a_refusal_is_shortened() -> None:
    assert len(str(refusal(error("E" * 10_000)))) < MAX_REFUSAL + 50


@given(st.lists(st.integers(0, 10**6), max_size=50), st.data())
def test_answers_are_counted_however_the_bytes_come(numbers: list[int], data: st.DataObject) -> None:
    stream = b"".join(b":%d\r\n" % number for number in numbers)
    replies = PublishReplies()
    counted = 0
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        count, trouble = replies.feed(stream[:size])
        assert trouble is None
        counted += count
        stream = stream[size:]
    assert counted == len(numbers)


@pytest.mark.parametrize(
    ("stream", "count", "why"),
    [
        (b":1\r\n:0\r\n-NOPERM no\r\n:1\r\n", 2, "refuses: NOPERM no"),
        (b"-MOVED 1 127.0.0.1:7001\r\n", 0, "refuses: MOVED"),
        (b":1\r\n+OK\r\n", 1, "no number"),
        (b":1\r\n*1\r\n:1\r\n", 1, "no number"),
        (b":1\r\nHTTP/1.1 400 Bad Request\r\n", 1, "no Redis server"),
    ],
)
def test_what_is_no_number_is_a_break(stream: bytes, count: int, why: str) -> None:
    replies = PublishReplies()
    counted, trouble = replies.feed(stream)
    assert counted == count
    assert why in str(trouble)

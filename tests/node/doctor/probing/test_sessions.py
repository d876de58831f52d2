"""Sessions by the dozen, on a real server."""

from __future__ import annotations

import roomcast
from roomcast.doctor.answers import Answer
from roomcast.doctor.judging.stickiness import stickiness
from roomcast.doctor.probing.http import HttpClient
from roomcast.doctor.probing.sessions import REQUESTS, SESSIONS, SIDE_BY_SIDE, meet, try_sessions
from roomcast.doctor.target import parse_target
from tests.support.inprocess import Node, Way
from tests.support.scripted_http import client_of, scripted


async def test_on_one_node_all_stay() -> None:
    async with Node(roomcast.AsyncServer(tag="wA3x", cookie="io"), Way()) as served:
        sessions, repeated = await try_sessions(HttpClient(parse_target(served.base)))
        await served.empty()
    assert (len(sessions), repeated) == (SESSIONS, 0)
    assert {len(session.outcomes) for session in sessions} == {REQUESTS}
    assert {session.tag for session in sessions} == {"wA3x"}
    assert [session.keeps_cookies for session in sessions] == [True, False] * (SESSIONS // 2)
    assert all(session.got_cookies for session in sessions)
    assert stickiness(sessions).holds
    assert not any(session.lost or session.failed for session in sessions)


async def test_none_is_opened() -> None:
    async with scripted(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n") as (_, port):
        sessions, _ = await try_sessions(client_of(port), 2)
        assert await meet(client_of(port), {"aaaa"}, 2) == (set(), 2)
    assert [isinstance(session.outcome, Answer) and session.outcome.status for session in sessions] == [503, 503]


async def test_a_cache_on_the_way() -> None:
    body = b'0{"sid":"x","pingInterval":1,"pingTimeout":1}'
    async with scripted(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)) as (_, port):
        assert (await try_sessions(client_of(port), 3))[1] == 2


async def test_meeting_a_node() -> None:
    async with Node(roomcast.AsyncServer(tag="wA3x"), Way()) as served:
        client = HttpClient(parse_target(served.base))
        assert await meet(client, {"wA3x"}, 50) == ({"wA3x"}, SIDE_BY_SIDE)
        assert await meet(client, {"gone"}, 6) == ({"wA3x"}, 6)
        assert await meet(client, set(), 6) == (set(), 0)
        await served.empty()

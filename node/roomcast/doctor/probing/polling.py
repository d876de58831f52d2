"""Polling sessions: every request on a connection of its own, as a balancer may see it from a browser."""

from __future__ import annotations

from collections import deque
from typing import Self

from roomcast.doctor.answers import NODE_HEADER, Answer, Ending, Outcome
from roomcast.doctor.packets import CLOSE, Opened, Packet, query, read_open, read_payload, write_payload
from roomcast.doctor.probing.http import Headers, HttpClient
from roomcast.doctor.probing.links import LinkEndedError

POLLING = "polling"


class PollingLink:
    """See :class:`~roomcast.doctor.probing.links.Link`. ``cookies`` are what it was told and sends back."""

    def __init__(self, client: HttpClient, opened: Opened, tag: str | None, cookies: Headers) -> None:
        self._client = client
        self._received: deque[Packet] = deque()
        self._query = query(POLLING, opened.sid)
        self.opened = opened
        self.tag = tag
        self.cookies = cookies

    @classmethod
    async def open(cls, client: HttpClient, *, cookies: bool, headers: Headers = ()) -> tuple[Outcome, Self | None]:
        """The answer to the handshake, and the session if there is one."""
        outcome = await client.ask("GET", query(POLLING), headers=headers)
        opened = read_opened(outcome)
        if opened is None or not isinstance(outcome, Answer):
            return outcome, None
        tag = outcome.header(NODE_HEADER) or opened.likely_tag
        return outcome, cls(client, opened, tag, kept(outcome) if cookies else ())

    async def post(self, *packets: Packet) -> Outcome:
        """One POST with these packets."""
        return await self._client.ask("POST", self._query, write_payload(list(packets)), self.cookies)

    async def poll(self, seconds: float) -> Outcome:
        """One GET, which the server may hold."""
        return await self._client.ask("GET", self._query, headers=self.cookies, patience=seconds)

    async def send(self, packet: Packet) -> None:
        """See :class:`~roomcast.doctor.probing.links.Link`."""
        outcome = await self.post(packet)
        if not (isinstance(outcome, Answer) and outcome.status == 200):
            raise LinkEndedError(Ending("refused", outcome=outcome))

    async def receive(self, seconds: float) -> Packet:
        """See :class:`~roomcast.doctor.probing.links.Link`."""
        while not self._received:
            outcome = await self.poll(seconds)
            if not isinstance(outcome, Answer):
                if outcome.kind == "silent":
                    raise TimeoutError
                raise LinkEndedError(Ending("cut", outcome=outcome))
            packets = read_payload(outcome.body) if outcome.status == 200 else None
            if packets is None:
                raise LinkEndedError(Ending("refused", outcome=outcome))
            self._received.extend(packets)
        packet = self._received.popleft()
        if packet == CLOSE:
            raise LinkEndedError(Ending("closed"))
        return packet

    async def close(self) -> None:
        """See :class:`~roomcast.doctor.probing.links.Link`."""
        await self.post(CLOSE)


def read_opened(outcome: Outcome) -> Opened | None:
    """What a polling handshake opened."""
    if not isinstance(outcome, Answer) or outcome.status != 200:
        return None
    packets = read_payload(outcome.body)
    return read_open(packets[0]) if packets else None


def kept(answer: Answer) -> Headers:
    """The ``Cookie`` header of a client that keeps what it is told to; nothing if that is nothing."""
    pairs = [value.partition(";")[0].strip() for value in answer.all("set-cookie")]
    named = [pair for pair in pairs if "=" in pair]
    return (("Cookie", "; ".join(named)),) if named else ()

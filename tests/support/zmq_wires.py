"""Clients' sessions joined to a switchboard by nothing at all: frames are carried over when a test says so."""

from __future__ import annotations

from roomcast_brokers.backends.zmq.session import Session
from roomcast_brokers.backends.zmq.switchboard import Switchboard
from tests.support.listeners import Heard


class PlainListener(Heard):
    """For sessions: called in place, and calls nobody."""

    def delivered(self, channel: str, payload: bytes) -> None:
        self._note(("delivered", channel, payload))

    def confirmed(self, channel: str, generation: int) -> None:
        self._note(("confirmed", channel, generation))

    def accepted(self, count: int) -> None:
        self._note(("accepted", count))

    def changed(self, state: object, cause: Exception | None) -> None:
        self._note(("changed", state, cause))


class Wires:
    """A switchboard and its clients. ``now`` is the time for all of them."""

    def __init__(self, board: Switchboard | None = None) -> None:
        self.board = board or Switchboard()
        self.now = 0.0
        self._clients: dict[bytes, Client] = {}

    def client(self) -> Client:
        """A new one, which has begun and whose hello is not carried over yet."""
        client = Client(self, b"\0%04d" % len(self._clients))
        self._clients[client.identity] = client
        client.session.began(self.now)
        return client

    def carry(self) -> None:
        """Carry frames to and fro until nobody has any."""
        while sum(client.write() for client in self._clients.values()) or self.answer():
            pass

    def answer(self) -> int:
        """What the switchboard has for those who read; how many frames that was."""
        written = 0
        for identity, refusal in self.board.refusals():
            written += 1
            self._clients[identity].read(refusal)
        for peer in self.board.outgoing():
            client = self._clients[peer.identity]
            if client.gone:
                self.board.gone(peer)
                continue
            while (frame := peer.next_frame()) is not None:
                if client.frozen:
                    self.board.stuck(peer)
                    break
                written += 1
                peer.written()
                client.read(frame)
        return written


class Client:
    """One session and its listener. ``frozen`` takes nothing; ``gone`` is a connection that is no more."""

    def __init__(self, wires: Wires, identity: bytes) -> None:
        self.identity = identity
        self.frozen = False
        self.gone = False
        self.ready = 0
        """How often it was said that something is to be written."""
        self.verdicts: list[str] = []
        """Why the connection was to be given up."""
        self.heard = PlainListener()
        self.session = Session(self._on_ready)
        self.session.listener = self.heard
        self._wires = wires

    def _on_ready(self) -> None:
        self.ready += 1

    def write(self) -> int:
        """Carry over what the session has; how many frames that was."""
        written = 0
        while (frame := self.session.next_frame()) is not None:
            written += 1
            self.session.written()
            self._wires.board.received(self.identity, frame, self._wires.now)
        return written

    def read(self, frame: bytes) -> None:
        verdict = self.session.received(frame, self._wires.now)
        if verdict is not None:
            self.verdicts.append(verdict)

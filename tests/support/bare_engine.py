"""What tests of the engine alone do to its clients and ask of it, whichever part of the engine they look at."""

from __future__ import annotations

from roomcast.websocket.frames import text_frame
from tests.support.played import BareStage, Peer, Poller


def tell(client: Poller | Peer, *texts: str) -> None:
    """The application sends messages to one client."""
    for text in texts:
        client.session.outbox.put(text_frame(b"4" + text.encode()))


def ends(stage: BareStage, client: Poller | Peer) -> list[str]:
    """The reasons with which the application was told that this client's session is over: one, or none yet."""
    sid = client.sid if isinstance(client, Poller) else client.session.sid
    return stage.applications[sid].ends


def polled(client: Poller, times: int) -> list[list[str]]:
    """What so many GETs read, one after the other."""
    answers = []
    for _ in range(times):
        client.polls()
        answers.append(client.received())
    return answers


def empty(stage: BareStage) -> bool:
    """Whether nothing is left of any session."""
    engine = stage.engine
    return not engine.sessions and engine.wheel.due() is None and not len(engine.deadlines) and not engine.slow

"""The state tables: every row that is there, and every neighbour that is not."""

from __future__ import annotations

import itertools

import pytest

from roomcast.engineio import transitions as t
from roomcast.engineio.transitions import MACHINES, Table

EVENTS = {event for _, event in t.SESSION}


@pytest.mark.parametrize(
    ("path", "last"),
    [
        ([t.OPENED], t.OPEN),
        ([t.CLOSE_NOW], t.CLOSED),
        ([t.OPENED, t.CLOSE_NOW], t.CLOSED),
        ([t.OPENED, t.CANDIDATE, t.ADOPTED], t.OPEN),
        ([t.OPENED, t.CANDIDATE, t.CANDIDATE_LOST, t.CANDIDATE], t.UPGRADING),
        ([t.OPENED, t.CANDIDATE, t.CLOSE_NOW], t.CLOSED),
        ([t.OPENED, t.CANDIDATE, t.CLOSE_LATER], t.CLOSING_UPGRADING),
        ([t.OPENED, t.CANDIDATE, t.CLOSE_LATER, t.ADOPTED], t.CLOSED),
        ([t.OPENED, t.CANDIDATE, t.CLOSE_LATER, t.CANDIDATE_LOST], t.CLOSING),
        ([t.OPENED, t.CANDIDATE, t.CLOSE_LATER, t.CANDIDATE_LOST, t.CLOSE_READ], t.CLOSED),
        ([t.OPENED, t.CLOSE_LATER, t.CLOSE_READ], t.CLOSED),
    ],
)
def test_the_lives_of_a_session(path: list[str], last: str) -> None:
    state = t.OPENING
    for event in path:
        state = t.SESSION[state, event]
    assert state == last


SESSION_ILLEGAL = {
    t.OPENING: {t.CANDIDATE, t.CANDIDATE_LOST, t.ADOPTED, t.CLOSE_LATER, t.CLOSE_READ},
    t.OPEN: {t.OPENED, t.CANDIDATE_LOST, t.ADOPTED, t.CLOSE_READ},
    t.UPGRADING: {t.OPENED, t.CANDIDATE, t.CLOSE_READ},
    t.CLOSING_UPGRADING: EVENTS - {t.ADOPTED, t.CANDIDATE_LOST},
    t.CLOSING: EVENTS - {t.CLOSE_READ},
    t.CLOSED: EVENTS,
}


def test_every_pair_is_legal_or_missing() -> None:
    assert illegal(t.SESSION) == SESSION_ILLEGAL
    assert illegal(t.CANDIDATES) == {state: events(t.CANDIDATES) for state in (t.CARRYING, t.DROPPED)} | {
        t.ARRIVED: set(),
        t.PROBED: set(),
    }
    with pytest.raises(KeyError):
        t.SESSION[t.CLOSED, t.OPENED]


@pytest.mark.parametrize(
    ("packets", "last"),
    [
        ([b"2probe", b"5"], t.CARRYING),
        ([b"5"], t.CARRYING),
        ([b"2probe", b"2probe", b"5"], t.CARRYING),
        ([b"4hello"], t.DROPPED),
        ([b"2probe", b"2"], t.DROPPED),
        ([b"55"], t.DROPPED),
        ([b""], t.DROPPED),
    ],
)
def test_what_packets_do_to_a_candidate(packets: list[bytes], last: str) -> None:
    state = t.ARRIVED
    for packet in packets:
        state = t.CANDIDATES[state, t.CANDIDATE_PACKETS.get(packet, t.OTHER)]
    assert state == last


@pytest.mark.parametrize("event", [t.LOST, t.LATE, t.SESSION_ENDED])
@pytest.mark.parametrize("state", [t.ARRIVED, t.PROBED])
def test_a_candidate_is_dropped(state: str, event: str) -> None:
    assert t.CANDIDATES[state, event] == t.DROPPED


@pytest.mark.parametrize(("first", "table"), MACHINES.values(), ids=MACHINES)
def test_every_state_is_reached(first: str, table: Table) -> None:
    reached = {first}
    for _ in table:
        reached |= {after for (state, _), after in table.items() if state in reached}
    assert reached == states(table)


def states(table: Table) -> set[str]:
    return {state for state, _ in table} | set(table.values())


def events(table: Table) -> set[str]:
    return {event for _, event in table}


def illegal(table: Table) -> dict[str, set[str]]:
    missing: dict[str, set[str]] = {state: set() for state in states(table)}
    for state, event in itertools.product(states(table), events(table)):
        if (state, event) not in table:
            missing[state].add(event)
    return missing

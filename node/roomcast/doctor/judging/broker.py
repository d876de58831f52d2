"""Is the broker there, are the nodes behind the balancer on it, and does what is emitted there reach clients?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import ceil, log
from typing import Final

import msgspec

from roomcast.doctor.findings import Finding, ok, skipped, warning, wrong
from roomcast.doctor.wording import count, duration, listed

BROKER: Final = "broker"
NODES: Final = "nodes"
EMIT: Final = "emit"

CHANCE: Final = 0.001
"""So rarely may a node that takes clients be missed by chance."""
MOST_HANDSHAKES: Final = 100
"""To find one node among many; a node that gets less than this share of clients gets hardly any."""


class Heard(msgspec.Struct, frozen=True):
    """A node, as its beats on the broker tell. ``offset``: seconds that its clock is ahead of ours."""

    tag: str
    beats: int
    clients: int = 0
    offset: float = 0.0
    signed: bool = False


class BrokerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """``up`` seconds until the broker was reached (None: it was not, and ``cause`` is why); then what was heard on the
    cluster's channel in ``listened`` seconds. ``unreadable`` counts messages by why they could not be read.
    """

    scheme: str
    cluster: str
    up: float | None = None
    cause: str = ""
    listened: float = 0.0
    heard: tuple[Heard, ...] = ()
    unreadable: Mapping[str, int] = {}
    with_keys: bool = False


class Arrival(msgspec.Struct, frozen=True):
    """An event for one client of ours on ``tag``: ``seconds`` from the emit to its arrival (None: it did not arrive).
    ``receipt`` is what the emitter said: ``delivered`` to the broker, or else.
    """

    tag: str
    receipt: str
    seconds: float | None


def judge_broker(seen: BrokerSeen | None) -> Finding:
    """Whether the broker can be reached from here."""
    if seen is None:
        return skipped(BROKER, "say --broker URL to look at the way through it")
    scheme = f"{seen.scheme}://"
    if seen.up is None:
        advice = (
            "check its URL, password and firewall, and whether it runs. Nodes without it serve their own clients, but"
            " what is emitted elsewhere does not reach these"
        )
        return wrong(BROKER, f"{scheme} cannot be reached from here: {seen.cause or 'no answer'}", advice)
    return ok(BROKER, f"{scheme} was reached in {duration(seen.up)}", seconds=round(seen.up, 3))


_KEY_WORDS: Final = {
    "unsigned": (
        "are not signed, and a key was given",
        "give the nodes the key (ROOMCAST_KEYS), or none to the doctor",
    ),
    "key": ("are signed with another key", "say --key-file FILE with the key of the nodes"),
    "signature": (
        "have a wrong signature",
        "one of the nodes has another key under the same name: compare ROOMCAST_KEYS",
    ),
    "major": ("are of a version that this roomcast cannot read", "use the doctor of the version that the nodes run"),
}


def judge_nodes(seen: BrokerSeen | None, met: Collection[str], handshakes: int) -> Finding:
    """Whether the nodes that take clients are those on the broker; ``met`` by so many ``handshakes``."""
    if seen is None or seen.up is None:
        return skipped(NODES, "there is no broker to hear them on")
    heard = {node.tag for node in seen.heard}
    facts = {"behind_balancer": sorted(met), "on_broker": sorted(heard)}
    for reason, (what, advice) in _KEY_WORDS.items():
        if seen.unreadable.get(reason) and not heard:
            return wrong(NODES, f"the messages of cluster {seen.cluster!r} {what}", advice, **facts)
    if not heard:
        text = f"no node of cluster {seen.cluster!r} is heard on it within {duration(seen.listened)}"
        if met:
            text += f"; behind the balancer {_are(sorted(met))}"
        advice = (
            "the nodes cannot reach this broker (see their /readyz), use another one (ROOMCAST_BROKER), or the cluster"
            " has another name (ROOMCAST_CLUSTER, --cluster)"
        )
        return wrong(NODES, text, advice, **facts)
    deaf = sorted(set(met) - heard)
    if deaf:
        text = f"{_are(deaf)} behind the balancer but not on the broker: what others emit does not reach their clients"
        advice = "see their /readyz: they cannot reach this broker, or have another one or another cluster's name"
        return wrong(NODES, text, advice, **facts)
    if not handshakes:
        return ok(NODES, f"{_are(sorted(heard))} on the broker", **facts)
    unmet = sorted(heard - set(met))
    if unmet:
        text = f"{_are(unmet)} on the broker, but none of {count(handshakes, 'session')} came to them"
        advice = (
            "add them to the balancer, or see why it takes them for sick (/readyz, draining); if it goes by the"
            " client's address, this is what users behind one address get: let it go by session"
        )
        return warning(NODES, text, advice, handshakes=handshakes, **facts)
    clients = sum(node.clients for node in seen.heard)
    text = f"{_are(sorted(heard))} behind the balancer and on the broker, with {count(clients, 'client')}"
    return ok(NODES, text, clients=clients, **facts)


def _are(tags: Sequence[str]) -> str:
    return f"node {tags[0]} is" if len(tags) == 1 else f"nodes {listed(tags)} are"


def judge_emit(arrivals: Sequence[Arrival], seen: BrokerSeen, lets_in: bool) -> Finding:
    """Whether what an emitter gives to the broker reaches clients of every node that was met and is on the broker.

    ``lets_in``: the application lets clients of ours in.
    """
    if not seen.heard:
        return skipped(EMIT, "no node is heard on the broker")
    if not lets_in:
        return skipped(EMIT, "no client of ours is let in: see namespace")
    if not arrivals:
        return skipped(EMIT, "no client of ours came to a node that is on the broker")
    missing = sorted(each.tag for each in arrivals if each.seconds is None)
    facts = {"arrived": len(arrivals) - len(missing), "missing": missing}
    refused = [each for each in arrivals if each.receipt != "delivered"]
    if refused:
        text = f"the broker did not take {len(refused)} of {count(len(arrivals), 'event')} ({refused[0].receipt})"
        return wrong(EMIT, text, "may this login publish? look at the log of the broker", **facts)
    if missing:
        text = f"what was emitted through the broker did not reach clients on {listed(missing)}"
        return wrong(EMIT, text, _why_missing(seen, missing), **facts)
    slowest = max(each.seconds or 0.0 for each in arrivals)
    where = listed(sorted(each.tag for each in arrivals))
    return ok(
        EMIT, f"what was emitted through the broker reached clients on {where} within {duration(slowest)}", **facts
    )


def _why_missing(seen: BrokerSeen, missing: Sequence[str]) -> str:
    if not seen.with_keys and any(node.signed for node in seen.heard if node.tag in missing):
        return "the nodes sign their messages and drop what is not: say --key-file FILE; emitters need that key, too"
    return "they are heard and do not hear: see the log and /readyz of these nodes (deaf), and the broker's permissions"


def handshakes_needed(nodes: int) -> int:
    """How many sessions a balancer that spreads them at random needs, to meet a certain node of so many."""
    if nodes < 2:
        return 0
    return min(MOST_HANDSHAKES, ceil(log(CHANCE) / log(1 - 1 / nodes)))

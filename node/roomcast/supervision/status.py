"""How the nodes stand, as people read it: a table for a terminal, a sentence per change for everything else."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

from roomcast.supervision.fleet import GaveUp, Life, State
from roomcast.supervision.plans import NodePlan
from roomcast.supervision.readings import SILENT, Reading

Mood = Literal["good", "middling", "bad"]

COLUMNS: Final = ("NODE", "TAG", "ADDRESS", "METRICS", "PID", "STATE", "CLIENTS", "BROKER", "PEERS", "RESTARTS")
# Left out one after another where a terminal is too narrow for all.
SPARED: Final = ("PID", "TAG")
_RIGHT: Final = frozenset({"METRICS", "PID", "CLIENTS", "PEERS", "RESTARTS"})
_UNKNOWN: Final = "-"


class NodeView(msgspec.Struct, frozen=True):
    """One node as it is shown. ``note`` says why, where there is a why; ``again_in`` are seconds."""

    number: int
    tag: str
    url: str
    metrics_port: int
    pid: int | None
    state: str
    mood: Mood
    clients: int | None = None
    broker: str = _UNKNOWN
    peers: int | None = None
    restarts: int = 0
    note: str = ""
    again_in: int | None = None


def view(plan: NodePlan, life: Life, pid: int | None, reading: Reading, now: float) -> NodeView:
    """What is known of a node: from its life, and from what it last said about itself."""
    state, mood, note = _state(life, reading)
    shown = reading if life.is_alive else SILENT
    broker = _UNKNOWN if shown.broker_up is None else "up" if shown.broker_up else "away"
    return NodeView(
        plan.number,
        plan.tag,
        plan.url,
        plan.metrics_port,
        pid if life.is_alive else None,
        state,
        mood,
        shown.clients,
        broker,
        shown.peers,
        life.restarts,
        note,
        max(0, math.ceil(life.due - now)) if life.state is State.DOWN and life.starts else None,
    )


def _state(life: Life, reading: Reading) -> tuple[str, Mood, str]:
    match life.state:
        case State.SERVING if reading.answer == "silent":
            return "silent", "bad", ""
        case State.SERVING if reading.answer == "ready":
            return "ready", "good", ""
        case State.SERVING:
            mood: Mood = "middling" if reading.serves else "bad"
            return reading.answer, mood, ", ".join(reading.reasons)
        case State.DOWN | State.STOPPED if life.ended_with:
            return life.state.value, "bad", end_of(life.ended_with)
        case State.DOWN if life.starts:
            return life.state.value, "bad", "ended by itself"
    return life.state.value, "middling", ""


def end_of(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


# --- for a terminal ---------------------------------------------------------------------------------------------------


class Row(msgspec.Struct, frozen=True):
    """One line of the table; ``mood`` is that of the part that begins at ``at`` and has ``length`` characters."""

    text: str
    mood: Mood | None = None
    at: int = 0
    length: int = 0


def table(views: Sequence[NodeView], footer: str, width: int, height: int) -> list[Row]:
    """Lines of at most ``width`` characters, at most ``height`` of them: a head, a line per node, a foot.

    Where it is too narrow, what people miss least is left out.
    """
    cells = [_cells(node) for node in views]
    sizes = _columns(cells, width)
    at = sum(size + 2 for name, size in sizes.items() if COLUMNS.index(name) < COLUMNS.index("STATE"))
    lines = [Row(_joined({name: name for name in sizes}, sizes)[:width])]
    for node, row in zip(views, cells, strict=True):
        # Of one that is down nothing is known but why: that may have the rest of the line.
        text = _joined(row, sizes) if node.pid is not None or not node.note else _joined(row, sizes)[:at] + node.state
        lines.append(Row("  ".join(filter(None, (text, _note(node))))[:width], node.mood, at, len(node.state)))
    room = max(1, height - 1)  # the foot tells how it is ended, and stays
    if len(lines) > room:
        lines[room - 1 :] = [Row(f"... and {len(lines) - room + 1} more"[:width])]
    return [*lines, Row(footer[:width])]


def _columns(cells: Sequence[Mapping[str, str]], width: int) -> dict[str, int]:
    """The columns that there is room for, and the size of each."""
    sizes = {name: max(len(name), *(len(row[name]) for row in cells)) for name in COLUMNS}
    for name in SPARED:
        if sum(sizes.values()) + 2 * (len(sizes) - 1) > width:
            del sizes[name]
    return sizes


def _cells(node: NodeView) -> dict[str, str]:
    return {
        "NODE": str(node.number),
        "TAG": node.tag,
        "ADDRESS": node.url.partition("://")[2],
        "METRICS": str(node.metrics_port),
        "PID": _number(node.pid),
        "STATE": node.state,
        "CLIENTS": _number(node.clients),
        "BROKER": node.broker,
        "PEERS": _number(node.peers),
        "RESTARTS": str(node.restarts),
    }


def _note(node: NodeView) -> str:
    again = "" if node.again_in is None else f"again in {node.again_in} s"
    return ", ".join(filter(None, (node.note, again)))


def _joined(cells: Mapping[str, str], sizes: Mapping[str, int]) -> str:
    padded = (cells[name].rjust(size) if name in _RIGHT else cells[name].ljust(size) for name, size in sizes.items())
    return "  ".join(padded).rstrip()


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else str(value)


# --- for everything else ----------------------------------------------------------------------------------------------


def news(before: NodeView | None, after: NodeView) -> str | None:
    """A sentence if something has changed that is worth a line; clients come and go without one."""
    if before is not None and _essence(before) == _essence(after):
        return None
    parts = [f"{after.state} ({after.note})" if after.note else after.state]
    if after.pid is not None:
        parts.append(f"pid {after.pid}")
    if after.broker != _UNKNOWN:
        parts += [after.url, f"metrics on port {after.metrics_port}", _counted(after.clients, "client")]
        parts += [f"broker {after.broker}", _counted(after.peers, "peer")]
    if after.restarts:
        parts.append(_counted(after.restarts, "restart"))
    return ", ".join(parts)


def _counted(number: int | None, noun: str) -> str:
    return f"{number or 0} {noun}" if number == 1 else f"{number or 0} {noun}s"


def _essence(node: NodeView) -> tuple[object, ...]:
    return node.state, node.note, node.pid, node.broker, node.peers, node.restarts


def why_it_ended(failure: GaveUp, last_lines: Sequence[str]) -> str:
    """What is said when a node cannot be started."""
    head = (
        f"node {failure.number} ended {failure.failed_starts} times before it was ready ({end_of(failure.ended_with)})"
    )
    if not last_lines:
        return f"{head}, and wrote nothing"
    return "\n".join([f"{head}; its last lines:", *(f"    {line}" for line in last_lines)])

"""Draw the state tables of sessions, upgrades and subscriptions into ``docs/states.md``.

``python tools/draw_states.py`` writes the diagrams between the markers of that page; with ``--check`` it writes nothing
and ends with 1 when the page is not what it would write.
"""

from __future__ import annotations

import sys
from pathlib import Path

from roomcast.core import subscriptions
from roomcast.engineio.transitions import MACHINES, Table

PAGE = Path(__file__).parent.parent / "docs" / "states.md"
BEGIN = "<!-- drawn from the tables by tools/draw_states.py: begin -->"
DRAWN: dict[str, tuple[str, Table]] = {
    **MACHINES,
    "A subscription of a node": (subscriptions.ABSENT, subscriptions.CHANNEL),
}
END = "<!-- drawn from the tables by tools/draw_states.py: end -->"


def diagram(first: str, table: Table) -> str:
    """One machine as a Mermaid state diagram; the events that lead the same way share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), after in table.items():
        arrows.setdefault((state, after), []).append(event)
    states = dict.fromkeys(state for arrow in arrows for state in arrow)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{state}" as {identifier(state)}' for state in states if identifier(state) != state]
    lines.append(f"    [*] --> {identifier(first)}")
    for (state, after), events in arrows.items():
        lines.append(f"    {identifier(state)} --> {identifier(after)}: {' / '.join(events)}")
    left = {state for state, _ in table}
    lines += [f"    {identifier(state)} --> [*]" for state in states if state not in left]
    return "\n".join([*lines, "```"])


def identifier(state: str) -> str:
    """The name of a state as Mermaid takes it."""
    return state.replace(",", "").replace(" ", "_")


def drawn(page: str) -> str:
    """The page with what lies between its markers drawn anew; raises ValueError when it has no markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN!r} or {END!r}")
    sections = [f"## {title}\n\n{diagram(first, table)}" for title, (first, table) in DRAWN.items()]
    return before + "\n\n".join([BEGIN, *sections, END]) + after


def main(arguments: list[str], page: Path = PAGE) -> int:
    """Draw, or check; the exit status."""
    old = page.read_text(encoding="utf-8")
    new = drawn(old)
    if "--check" not in arguments:
        page.write_text(new, encoding="utf-8")
    elif new != old:
        print(f"{page} is not what the tables say: run  python tools/draw_states.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

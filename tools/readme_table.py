"""Put the table of ``bench/RESULTS.md`` into ``README.md``, between the two bench markers.

``python tools/readme_table.py`` writes the README; with ``--check`` it writes nothing and ends with 1 when the README
is not what it would write.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
OURS = "roomcast"
NOTHING_YET = "*Not recorded yet: `make bench` writes `bench/RESULTS.md`, `python tools/readme_table.py` puts it here.*"


def main_table(results: str) -> str:
    """The first Markdown table with a column named roomcast, under the paragraph before it, which says when and where.

    ValueError when there is none.
    """
    before = ""
    for block in (block.strip() for block in results.split("\n\n")):
        if block.startswith("|") and OURS in block.partition("\n")[0]:
            return block if before.startswith(("|", "#")) or not before else f"{before}\n\n{block}"
        before = block
    raise ValueError(f"no table with a column {OURS!r} in the results")


def filled(readme: str, results: str | None) -> str:
    """The README with the table of these results; None stands for results that nobody has recorded."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README lacks {BEGIN} or {END}")
    body = NOTHING_YET if results is None else main_table(results)
    return f"{before}{BEGIN}\n{body}\n{END}{after}"


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Write or check the README in ``root``; the exit code."""
    readme, results = root / "README.md", root / "bench" / "RESULTS.md"
    old = readme.read_text("utf-8")
    new = filled(old, results.read_text("utf-8") if results.is_file() else None)
    if new == old:
        return 0
    if "--check" in arguments:
        print("README.md has not the numbers of bench/RESULTS.md; run  python tools/readme_table.py", file=sys.stderr)
        return 1
    readme.write_text(new, "utf-8")
    print("written: README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

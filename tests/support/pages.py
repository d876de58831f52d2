"""The code blocks and links of a Markdown page."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NAME = re.compile(r"(?:#|<!--) (\w[\w.]*\.\w+)(?: -->)?\n")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def blocks(page: Path) -> dict[str, str]:
    """The blocks whose first line is the name of a file, ``# chat.py`` or ``<!-- chat.html -->``, by that name."""
    named = {}
    for _, code in _BLOCK.findall(page.read_text("utf-8")):
        name = _NAME.match(code)
        if name:
            named[name[1]] = code
    return named


def write_files(page: Path, folder: Path) -> list[str]:
    """Write these blocks as files; returns their names."""
    found = blocks(page)
    for name, code in found.items():
        (folder / name).write_text(code, "utf-8")
    return list(found)


def links(page: Path) -> list[str]:
    """The targets of all links outside code."""
    return _LINK.findall(_BLOCK.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    text = _BLOCK.sub("", page.read_text("utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}

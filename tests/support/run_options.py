"""What the images, compose and Kubernetes start a node with, read as ``roomcast run`` reads it."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence

from roomcast.cli import _parser
from tests.support.tree import ROOT

DOCKERFILE = ROOT / "node" / "Dockerfile"


def instruction(name: str) -> str:
    """What the last instruction of that name in the node's Dockerfile says, on one line."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text("utf-8"))
    found: str = re.findall(rf"^{name} (.*(?:\n    .*)*)", text, re.MULTILINE)[-1]
    return found


def entrypoint() -> list[str]:
    """The image's command, to which its application and options are added."""
    words: list[str] = json.loads(instruction("ENTRYPOINT"))
    assert words[:2] == ["roomcast", "run"]
    return words[1:]


def options(command: Sequence[str]) -> argparse.Namespace:
    """The options of a node that the image runs with this command; SystemExit for any that does not exist."""
    return _parser().parse_args([*entrypoint(), *command])

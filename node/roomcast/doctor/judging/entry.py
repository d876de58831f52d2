"""Does the application let a client into the namespace?"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from roomcast.doctor.findings import Finding, ok, skipped, warning, wrong
from roomcast.doctor.wording import duration

CHECK: Final = "namespace"
_LONGEST: Final = 80  # characters of the application's own words that are repeated


class Entry(msgspec.Struct, frozen=True):
    """``result`` of a CONNECT: ``in``, ``refused`` with a ``message``, ``silent`` (no answer in ``seconds``) or
    ``closed`` (the connection ended over it).
    """

    namespace: str
    result: Literal["in", "refused", "silent", "closed"]
    seconds: float = 0.0
    message: str = ""


def judge_entry(entry: Entry | None, with_auth: bool) -> Finding:
    """Whether it does. Without ``--auth`` a refusal may be what is wanted."""
    if entry is None:
        return skipped(CHECK, "no session could be used to ask")
    name = entry.namespace
    if entry.result == "in":
        return ok(CHECK, f"{name} lets a client in within {duration(entry.seconds)}", seconds=round(entry.seconds, 3))
    if entry.result == "refused":
        text = f'{name} refuses a client: "{entry.message[:_LONGEST]}"'
        if with_auth:
            return wrong(CHECK, text, "look at what --auth says, and at the connect handler of the application")
        return warning(CHECK, text, "say --auth JSON with what clients say, and --namespace where they go")
    if entry.result == "closed":
        text = f"the server ends the session over the request for {name}"
        return wrong(CHECK, text, "if the server has serializer='msgpack', say --serializer msgpack; else see its log")
    text = f"{name} did not answer within {duration(entry.seconds)}"
    return wrong(
        CHECK, text, "the connect handler of the application hangs, or waits for something that does not answer"
    )

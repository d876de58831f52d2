"""The Autobahn cases (``kosoku`` runs them), against ``roomcast.websocket.connection`` in a process of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kosoku import FailureError, run_fuzzingclient

ROOT = Path(__file__).resolve().parents[3]
PASSING = {"OK", "NON-STRICT", "INFORMATIONAL"}
AT_ONCE = 2

pytestmark = [pytest.mark.long, pytest.mark.timeout(1_500)]


@contextmanager
def echo_server(*arguments: str) -> Iterator[str]:
    """The address of a fresh echo server; it ends with the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "node")])}
    command = [sys.executable, "-m", "tests.interop.autobahn.echo", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def run_cases(address: str, include: list[str], exclude: list[str]) -> dict[str, tuple[str, str]]:
    """Case id to its two verdicts: on the exchange of messages and on the closing handshake."""

    async def run() -> dict[str, tuple[str, str]]:
        try:
            results = await run_fuzzingclient(address, include, exclude, concurrency=AT_ONCE)
        except FailureError as failure:
            results = failure.results
        return {result.case_id: (result.behavior.value, result.behavior_close.value) for result in results}

    return asyncio.run(run())


def test_protocol() -> None:
    """Cases 1 to 10: framing, control frames, fragments, UTF-8, closing, limits up to 16 MiB and 65,536 fragments."""
    with echo_server() as address:
        verdicts = run_cases(address, ["*"], ["12.*", "13.*"])
    assert len(verdicts) == 301
    assert {case: both for case, both in verdicts.items() if not set(both) <= PASSING} == {}


# The suite's own cases leave the files that they send open.
@pytest.mark.filterwarnings("ignore:unclosed file .*testdata:ResourceWarning")
def test_compression() -> None:
    """Cases 12 and 13: 1,000 deflated messages each, up to 128 KiB, whole and in fragments.

    13.3 and 13.5 offer nothing but a window of 9 bits for the server, which is declined on purpose.
    """
    with echo_server("deflate") as address:
        verdicts = run_cases(address, ["12.*", "13.*"], [])
    declined = {case for case, both in verdicts.items() if both == ("UNIMPLEMENTED", "OK")}
    assert len(verdicts) == 216
    assert {case.rsplit(".", 1)[0] for case in declined} == {"13.3", "13.5"}
    assert {case: both for case, both in verdicts.items() if both != ("OK", "OK") and case not in declined} == {}

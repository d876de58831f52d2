"""``roomcast doctor`` at a deployment of a test."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import msgspec

from roomcast import cli


class Report(msgspec.Struct):
    """What the doctor said."""

    exit: int
    findings: list[dict[str, Any]]

    def told(self, check: str) -> dict[str, Any]:
        return next(finding for finding in self.findings if finding["check"] == check)

    def checks(self, *levels: str) -> list[str]:
        return sorted(finding["check"] for finding in self.findings if finding["level"] in levels)


def examined(url: str, *arguments: str) -> Report:
    """``roomcast doctor URL``, in this process: its exit code is what it says it is."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = cli.main(["doctor", url, "--json", *arguments])
    report = msgspec.json.decode(out.getvalue(), type=Report)
    assert report.exit == code
    return report

"""docs/doctor.md names what there is: the checks, the options, the levels."""

from __future__ import annotations

import argparse
import re

from roomcast.doctor import command, report
from roomcast.doctor.findings import ok, skipped, warning, wrong
from tests.support.tree import ROOT, python_files

PAGE = (ROOT / "docs" / "doctor.md").read_text("utf-8")
SOURCE = "\n".join(path.read_text("utf-8") for path in python_files("node/roomcast/doctor/judging"))


def test_every_check_is_in_the_table_and_in_the_example() -> None:
    named = re.findall(r'\b(?:ok|skipped|warning|wrong)\(\s*"([a-z ]+)"', SOURCE)
    named += re.findall(r'^[A-Z_]+: Final = "([a-z ]+)"$', SOURCE, re.MULTILINE)
    checks = set(named) | {"buffering"}
    table = {
        name for row in re.findall(r"^\| (`[^|]+`) \|", PAGE, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }
    assert table == checks
    example = set(re.findall(r"^ok {7}(\w+(?: \w+)?) {2,}", PAGE, re.MULTILINE))
    assert example == checks


def test_every_option_exists() -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    known = set(parser.format_help().replace(",", " ").split())
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE)) - {"--help"} <= {word.strip("[]") for word in known}


def test_lines_look_as_they_do() -> None:
    marks = {
        report.line(each).split(" ")[0]
        for each in (ok("a", ""), skipped("a", ""), warning("a", "", ""), wrong("a", "", ""))
    }
    assert all(f"`{mark}`" in PAGE for mark in marks)

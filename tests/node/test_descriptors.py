"""How many clients the limit of open files leaves room for."""

from __future__ import annotations

import resource
import sys

import pytest

from roomcast.descriptors import SPARE_FILES, most_clients


def limited(monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))


def test_all_but_a_few_are_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 1_024)
    assert most_clients() == 1_024 - SPARE_FILES


def test_at_least_one_client_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, 10)
    assert most_clients() == 1


def test_no_limit_of_files_is_none_of_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    limited(monkeypatch, resource.RLIM_INFINITY)
    assert most_clients() is None


def test_where_there_are_no_such_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert most_clients() is None

"""Links between the pages lead somewhere, to the heading too."""

from __future__ import annotations

import pytest

from tests.support.pages import anchors, links
from tests.support.tree import ROOT, name_of, tracked_files

PAGES = [name_of(path) for path in tracked_files() if path.suffix == ".md"]
# Written by `make bench`; the README points to it before it is there.
LATER = {ROOT / "bench" / "RESULTS.md"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for link in links(path):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        found = (path.parent / target).resolve() if target else path
        assert found.exists() or found in LATER, f"{page}: {link}"
        if anchor:
            assert anchor in anchors(found), f"{page}: {link}"

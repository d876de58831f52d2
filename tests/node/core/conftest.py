"""What the tests of the core have in common."""

from __future__ import annotations

import pytest

from tests.support.world import World


@pytest.fixture
def world() -> World:
    """Without nodes."""
    return World()

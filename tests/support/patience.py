"""How long tests wait for something that must happen: generously, but never for ever.

``ROOMCAST_TEST_PATIENCE`` (a factor) stretches it on slow machines.
"""

from __future__ import annotations

import os

PATIENCE = 10.0 * float(os.environ.get("ROOMCAST_TEST_PATIENCE", "1"))
"""Seconds until a test gives up on something that normally takes milliseconds."""

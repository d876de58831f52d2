"""What both applications of this folder serve beside Socket.IO, and to whom."""

from __future__ import annotations

from pathlib import Path

ORIGIN = "https://example.org"
"""The one origin whose pages may use ``/quick.io/``."""

SCENARIOS = Path(__file__).parent / "js" / "scenarios.js"

PING_INTERVAL = 5.0
"""Seconds. python-socketio's client, when it is refused by polling before it knows that its CONNECT has arrived, says
no goodbye and waits for the end of its poll: the next ping.
"""

QUICK = {"ping_interval": 0.3, "ping_timeout": 0.8}
"""Seconds in which a silent client is found; those that answer have to be faster, on a busy machine too."""

STATIC_FILES = {
    "/scenarios.js": str(SCENARIOS),
    "/notes": {"content_type": "text/x-notes", "filename": str(SCENARIOS.with_name("package.json"))},
    "/files": str(SCENARIOS.parent),
}
"""A file, a file with a type of its own, and a folder."""

"""``python -m roomcast``."""

from __future__ import annotations

import sys

from roomcast.cli import main

if __name__ == "__main__":
    sys.exit(main())

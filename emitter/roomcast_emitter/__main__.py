"""``python -m roomcast_emitter EVENT [JSON …]``."""

from __future__ import annotations

import sys

from roomcast_emitter.command import main

if __name__ == "__main__":
    sys.exit(main())

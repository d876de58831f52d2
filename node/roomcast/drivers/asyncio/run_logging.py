"""What ``roomcast run`` writes where the application has set up no logging: uvicorn's lines, and the node's own.

A node says rare things about its cluster (who is there, who was lost, that the broker is away or back): without them an
operator would see a process that serves and is alone. Python shows nobody's lines below WARNING by itself.
"""

from __future__ import annotations

import copy
import logging
from typing import Any

from uvicorn.config import LOG_LEVELS, LOGGING_CONFIG

LOGGER = "roomcast"


class UnlessHandled(logging.StreamHandler[Any]):
    """Writes only while the root logger has no handlers: an application that set up logging gets the lines there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or leave it to the application."""
        if not logging.getLogger().handlers:
            super().emit(record)


def log_config(level: str) -> dict[str, Any]:
    """uvicorn's own configuration, and the node's loggers in the same form; ``level`` is one of uvicorn's."""
    config: dict[str, Any] = copy.deepcopy(LOGGING_CONFIG)
    config["handlers"][LOGGER] = {
        "()": f"{__name__}.UnlessHandled",
        "formatter": "default",
        "stream": "ext://sys.stderr",
    }
    config["loggers"][LOGGER] = {"handlers": [LOGGER], "level": LOG_LEVELS[level]}
    return config

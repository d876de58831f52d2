"""``AsyncAioPikaManager`` under the path that applications import it from."""

from __future__ import annotations

from roomcast.managers import AsyncAioPikaManager

__all__ = ["AsyncAioPikaManager"]

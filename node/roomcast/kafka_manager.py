"""``KafkaManager`` under the path that applications import it from."""

from __future__ import annotations

from roomcast.managers import KafkaManager

__all__ = ["KafkaManager"]

"""What the environment of the process sets: variables that stand in for options of a server's constructor.

Operators reach a node through them without touching the application. Drivers ask here when they read their options; the
core and the protocols are told, and never look.
"""

from __future__ import annotations

import os
from typing import Any, Final

from roomcast.engineio.sid import check_tag

TAG_VARIABLE: Final = "ROOMCAST_TAG"
BROKER_VARIABLE: Final = "ROOMCAST_BROKER"
CLUSTER_VARIABLE: Final = "ROOMCAST_CLUSTER"
KEYS_VARIABLE: Final = "ROOMCAST_KEYS"


def with_environment(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a server, and what the environment sets where they say nothing; SettingsError names the variable.

    An empty variable is none: that is what a compose file makes of one that its own environment lacks. Several keys
    are separated by commas; the first one signs.
    """
    found: dict[str, Any] = {}
    if tag := os.environ.get(TAG_VARIABLE):
        found["tag"] = tag
    if broker := os.environ.get(BROKER_VARIABLE):
        found["broker"] = broker
    if cluster := os.environ.get(CLUSTER_VARIABLE):
        found["cluster"] = cluster
    if keys := os.environ.get(KEYS_VARIABLE):
        found["keys"] = [key.strip() for key in keys.split(",") if key.strip()]
    said = {name: value for name, value in options.items() if value is not None}
    if "tag" in found and "tag" not in said:
        check_tag(found["tag"], TAG_VARIABLE)
    return {**options, **found, **said}

"""What the environment of the process sets: variables that stand in for options of a server's constructor.

Operators reach a node through them without touching the application. Drivers ask here when they read their options; the
core and the protocols are told, and never look.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import Any, Final

from roomcast.engineio.sid import check_tag
from roomcast_emitter.environment import BROKER_VARIABLE, CLUSTER_VARIABLE, KEYS_VARIABLE, split_keys

TAG_VARIABLE: Final = "ROOMCAST_TAG"


logger = logging.getLogger("roomcast.cluster")

# Which server of this process is the node that the variable names.
_named: weakref.ref[Any] | None = None


def with_environment(options: dict[str, Any], member: Any = None) -> dict[str, Any]:
    """The options of a server, and what the environment sets where they say nothing; SettingsError names the variable.

    An empty variable is none: that is what a compose file makes of one that its own environment lacks. The variable
    names one node: of several servers of a process that are each a ``member`` of a cluster only the first has that tag,
    as long as it lives.
    """
    tag = os.environ.get(TAG_VARIABLE)
    if not tag or options.get("tag") is not None:
        return options
    if member is not None and not _is_first(member):
        logger.warning("%s names one node, and this process has several: this one draws a random tag", TAG_VARIABLE)
        return options
    return {**options, "tag": check_tag(tag, TAG_VARIABLE)}


def _is_first(member: Any) -> bool:
    global _named
    if _named is None or _named() is None:
        _named = weakref.ref(member)
    return _named() is member


def with_broker_of_environment(options: dict[str, Any]) -> dict[str, Any]:
    """As :func:`with_environment`, for what joins a server to a cluster.

    The variables are those of emitters (:mod:`roomcast_emitter.environment`).
    """
    found: dict[str, Any] = {
        name: value
        for name, variable in (("broker", BROKER_VARIABLE), ("cluster", CLUSTER_VARIABLE), ("keys", KEYS_VARIABLE))
        if options.get(name) is None and (value := os.environ.get(variable))
    }
    if "keys" in found:
        found["keys"] = split_keys(found["keys"])
    return {**options, **found} if found else options

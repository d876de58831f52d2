"""Which nodes ``roomcast up`` starts: their ports and tags, and the command that makes one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from roomcast.engineio.sid import check_tag, random_tag
from roomcast.errors import SettingsError

# A machine runs one node per processor. More than this is a slip of the keyboard.
MAX_NODES: Final = 64

# Options of `roomcast run` that `roomcast up` has too, and passes on as they are.
PASSED: Final = (
    "host",
    "app_dir",
    "root_path",
    "ssl_certfile",
    "ssl_keyfile",
    "forwarded_allow_ips",
    "log_level",
    "metrics_host",
    "drain_delay",
    "drain_seconds",
)
PASSED_FLAGS: Final = ("factory", "access_log")


class NodePlan(msgspec.Struct, frozen=True):
    """One node. Its number, from 1, is what people read; its tag is what its sids begin with."""

    number: int
    tag: str
    url: str
    port: int
    metrics_host: str
    metrics_port: int


def make_tags(count: int, given: str | None, draw: Callable[[], str] = random_tag) -> list[str]:
    """The tags that were given (separated by commas), or as many random ones, all different.

    A node keeps its tag over its lives: the others then know at its return that the former life is over, and do not
    wait a lease for it. Raises :class:`SettingsError`.
    """
    if not 1 <= count <= MAX_NODES:
        raise SettingsError(f"--nodes: 1 to {MAX_NODES} nodes, not {count}")
    if given is None:
        tags: dict[str, None] = {}
        while len(tags) < count:
            tags[draw()] = None
        return list(tags)
    found = [check_tag(tag.strip(), "--tags") for tag in given.split(",")]
    if len(found) != count:
        raise SettingsError(f"--tags: {count} nodes need {count} tags, and there are {len(found)}")
    if len(set(found)) != count:
        raise SettingsError("--tags: two nodes cannot have the same tag")
    return found


def make_plans(
    tags: Sequence[str], ports: Sequence[int], metrics_ports: Sequence[int], options: Mapping[str, Any]
) -> list[NodePlan]:
    """One plan for each tag. ``options`` are the command's."""
    scheme = "https" if options["ssl_certfile"] else "http"
    host = f"[{options['host']}]" if ":" in options["host"] else options["host"]
    return [
        NodePlan(number, tag, f"{scheme}://{host}:{port}", port, options["metrics_host"], metrics_port)
        for number, (tag, port, metrics_port) in enumerate(zip(tags, ports, metrics_ports, strict=True), 1)
    ]


def run_arguments(plan: NodePlan, options: Mapping[str, Any]) -> list[str]:
    """The arguments of ``roomcast`` that make this node: ``run MODULE:APP …``.

    Values are tied to their options, since a tag may begin with a dash.
    """
    passed = [f"{_flag(name)}={options[name]}" for name in PASSED if options[name] not in (None, "")]
    flags = [_flag(name) for name in PASSED_FLAGS if options[name]]
    own = [
        f"--port={plan.port}",
        f"--tag={plan.tag}",
        f"--metrics-port={plan.metrics_port}",
        "--metrics-port-fixed",
        "--stop-at-eof",
    ]
    return ["run", options["app"], *passed, *flags, *own]


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"

"""The shipped docker-compose.yml under a project of its own, run by whichever client of Compose there is."""

from __future__ import annotations

import json
import shutil
from typing import Any

from tests.support.container_engine import ContainerEngine
from tests.support.tree import ROOT

PROJECT = "roomcast-trial"
FILES = ("docker-compose.yml", "tests/deploy/compose.trial.yml")


class ComposeProject:
    """``environment_file`` names one of those that are shipped; profiles are then its own."""

    def __init__(self, engine: ContainerEngine, *, profile: str = "", environment_file: str = ".env") -> None:
        self.engine = engine
        self._options = ["--project-name", PROJECT, "--env-file", environment_file]
        self._options += [option for name in FILES for option in ("--file", name)]
        self._options += ["--profile", profile] if profile else []
        self._client = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]

    def __call__(self, *arguments: str) -> str:
        """``compose("up", "--detach", "node")``; what it prints."""
        return self.engine.run(*self._client, *self._options, *arguments, folder=ROOT)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers that run."""
        label = f"label=com.docker.compose.service={service}"
        project = f"label=com.docker.compose.project={PROJECT}"
        return self.engine.docker("ps", "--quiet", "--filter", label, "--filter", project).split()

    def inspect(self, container: str) -> dict[str, Any]:
        """What the engine knows of a container."""
        found: dict[str, Any] = json.loads(self.engine.docker("inspect", container))[0]
        return found

    def down(self) -> None:
        """Nothing of it is left but the images."""
        self("down", "--volumes", "--timeout", "30", "--remove-orphans")

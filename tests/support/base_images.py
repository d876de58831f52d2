"""Images under the names that the shipped files use, made of Debian's packages: for a host that cannot pull any.

They stand in for the official ones: the same programs, at the places and under the users that docker-compose.yml and
the Dockerfiles count on. Grafana, traefik and Kafka are no packages of Debian's.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.support.container_engine import FOLDER, LONG, ContainerEngine
from tests.support.tree import ROOT

RELEASE = "bookworm"
PYTHON = ("python3", "python3-pip", "python3-venv", "ca-certificates")
SERVERS = ("bash", "curl", "wget", "redis-server", "haproxy", "nginx", "prometheus", "rabbitmq-server")
PYTHON_IMAGE = "python:3.13-slim-bookworm"


class Recipe(NamedTuple):
    """``packages`` are installed; ``lines`` of a Dockerfile are what the official image does beyond that."""

    packages: tuple[str, ...]
    lines: tuple[str, ...] = ()


RECIPES: dict[str, Recipe] = {
    "python": Recipe(PYTHON),
    "redis": Recipe(SERVERS),
    "haproxy": Recipe(SERVERS, ("USER haproxy",)),
    "nginx": Recipe(SERVERS),
    "prom/prometheus": Recipe(
        SERVERS,
        ("RUN mkdir /prometheus && chown nobody /prometheus", "USER nobody", 'ENTRYPOINT ["/usr/bin/prometheus"]'),
    ),
    "rabbitmq": Recipe(SERVERS, ("USER rabbitmq", 'CMD ["rabbitmq-server"]')),
}
"""By the name of an image, without its tag."""


def provide(engine: ContainerEngine) -> None:
    """Make those that are not there yet; takes minutes the first time."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    wanted = {PYTHON_IMAGE, *(service["image"] for service in services.values())}
    there = set(engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split())
    for image in sorted(wanted - there):
        recipe = RECIPES.get(image.partition(":")[0])
        if recipe is not None:
            _build(engine, image, recipe)


def _build(engine: ContainerEngine, image: str, recipe: Recipe) -> None:
    folder = FOLDER / "builds" / image.replace("/", "-").replace(":", "-")
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"FROM {_root(engine, recipe.packages)}", *recipe.lines]
    (folder / "Dockerfile").write_text("\n".join([*lines, ""]), "utf-8")
    engine.docker("build", "--tag", image, folder)


def _root(engine: ContainerEngine, packages: tuple[str, ...]) -> str:
    """A Debian with these packages, as an image; returns its name."""
    name = f"roomcast-trial-root:{packages[-1]}"
    if engine.docker("image", "ls", "--quiet", name).strip():
        return name
    if shutil.which("debootstrap") is None:
        pytest.skip("debootstrap is missing: apt install debootstrap")
    folder = FOLDER / f"root-{packages[-1]}"
    shutil.rmtree(folder, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", RELEASE, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, done.stdout[-4_000:]
    _trust(folder)
    packed = subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE)
    done = subprocess.run(
        ["docker", "import", "-", name],
        env=engine.environment,
        stdin=packed.stdout,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert packed.wait() == 0
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder)
    return name


def _trust(folder: Path) -> None:
    """What pip trusts, and where it looks, is in the image what it is on this host."""
    for name in ("etc/ssl/certs/ca-certificates.crt", "etc/pip.conf"):
        source = Path("/") / name
        if source.is_file():
            shutil.copyfile(source, folder / name)

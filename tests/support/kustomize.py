"""What ``kubectl apply -k`` would apply, composed without kubectl: as much of kustomize as the files in k8s/ use.

What a ``kustomization.yaml`` says beyond that fails, so that nothing is left out silently. Generated maps keep their
plain names: kustomize adds a hash of what is in them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
"""One object of Kubernetes."""

KINDS = {"Kustomization", "Component"}


def composed(folder: Path) -> list[Object]:
    """The objects of an overlay, or of a base."""
    return _applied(folder, [])


def documents(path: Path) -> list[Object]:
    """The objects of a file."""
    return [found for found in yaml.safe_load_all(path.read_text("utf-8")) if found is not None]


def identity(thing: Object) -> tuple[str, str]:
    """By kind and name, as patches and people know it."""
    return thing["kind"], thing["metadata"]["name"]


def _applied(folder: Path, objects: list[Object]) -> list[Object]:
    """``objects`` after the kustomization in ``folder`` has had its way; a base begins with none."""
    (said,) = documents(folder / "kustomization.yaml")
    assert said.pop("kind") in KINDS, folder
    said.pop("apiVersion")
    assert said.keys() <= STEPS.keys(), f"{folder}: {said.keys() - STEPS.keys()} are not known here"
    for name, step in STEPS.items():  # in the order of kustomize, not of the file
        if name in said:
            objects = step(folder, objects, said[name])
    names = [identity(each) for each in objects]
    assert len(set(names)) == len(names), f"{folder}: an object is there twice: {sorted(names)}"
    return objects


def _resources(folder: Path, objects: list[Object], paths: list[str]) -> list[Object]:
    for path in (folder / each for each in paths):
        assert path.exists(), f"{folder}: there is no {path}"
        objects = objects + (composed(path) if path.is_dir() else documents(path))
    return objects


def _components(folder: Path, objects: list[Object], paths: list[str]) -> list[Object]:
    for path in paths:
        objects = _applied(folder / path, objects)
    return objects


def _config_maps(folder: Path, objects: list[Object], generators: list[Object]) -> list[Object]:
    for generator in generators:
        data = dict(literal.split("=", 1) for literal in generator["literals"])
        found = [each for each in objects if identity(each) == ("ConfigMap", generator["name"])]
        if generator.get("behavior", "create") == "merge":
            assert len(found) == 1, f"{folder}: nothing to merge {generator['name']} into"
            found[0]["data"] |= data
        else:
            metadata = {"name": generator["name"]}
            objects = [*objects, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}]
    return objects


def _patches(folder: Path, objects: list[Object], patches: list[Object]) -> list[Object]:
    for patch in patches:
        target = (patch["target"]["kind"], patch["target"]["name"])
        assert [identity(each) for each in objects].count(target) == 1, f"{folder}: there is no {target}"
        for operation in yaml.safe_load(patch["patch"]):
            for thing in objects:
                if identity(thing) == target:
                    _add(thing, operation)
    return objects


def _add(thing: Object, operation: Object) -> None:
    """RFC 6902, ``add`` to a mapping."""
    assert operation["op"] == "add", operation
    *way, last = operation["path"].removeprefix("/").split("/")
    place: Any = thing
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[last] = operation["value"]


def _namespace(folder: Path, objects: list[Object], name: str) -> list[Object]:
    for thing in objects:
        thing["metadata"]["namespace"] = name
    return objects


def _labels(folder: Path, objects: list[Object], labels: list[Object]) -> list[Object]:
    for each in labels:
        assert each.keys() == {"pairs", "includeSelectors"}, f"{folder}: {each}"
        assert not each["includeSelectors"]
        for thing in objects:
            thing["metadata"].setdefault("labels", {}).update(each["pairs"])
    return objects


def _images(folder: Path, objects: list[Object], images: list[Object]) -> list[Object]:
    for image in images:
        found = [each for each in containers(objects) if each["image"].partition(":")[0] == image["name"]]
        assert found, f"{folder}: nobody uses {image['name']}"
        for container in found:
            container["image"] = f"{image['newName']}:{image['newTag']}"
    return objects


def containers(objects: list[Object]) -> Iterator[Object]:
    """Those of all Deployments and StatefulSets."""
    for thing in objects:
        if thing["kind"] in {"Deployment", "StatefulSet"}:
            yield from thing["spec"]["template"]["spec"]["containers"]


STEPS: dict[str, Callable[[Path, list[Object], Any], list[Object]]] = {
    "resources": _resources,
    "configMapGenerator": _config_maps,
    "components": _components,
    "patches": _patches,
    "namespace": _namespace,
    "labels": _labels,
    "images": _images,
}


def without_hashes(objects: list[Object], names: dict[str, str]) -> list[Object]:
    """A copy in which generated names (keys) are the plain ones (values), wherever they stand."""

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        return names.get(value, value) if isinstance(value, str) else value

    found: list[Object] = renamed(copy.deepcopy(objects))
    return found

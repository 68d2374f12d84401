"""Builds kustomizations as kustomize does, as far as this project uses it; a test holds it to kustomize itself."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

Resource = dict[str, Any]

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "infra" / "kubernetes"
OVERLAYS = sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
_STEPS = ("resources", "configMapGenerator", "components", "patches", "replacements", "labels", "images")
_SILENT = {"apiVersion", "kind", "generatorOptions"}


def overlay(name: str, *more: str) -> list[Resource]:
    """What an overlay builds, with more components."""
    return build(KUBERNETES / "overlays" / name, tuple(f"../../components/{component}" for component in more))


def build(folder: Path, more: tuple[str, ...] = ()) -> list[Resource]:
    """The resources of a kustomization."""
    resources: list[Resource] = []
    _apply(folder, resources, more)
    return deepcopy(resources)


def containers(value: Any) -> Iterator[Resource]:
    """All containers in a resource, wherever they are."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from part if name in ("containers", "initContainers") and isinstance(part, list) else ()
            yield from containers(part)
    elif isinstance(value, list):
        for part in value:
            yield from containers(part)


def _apply(folder: Path, resources: list[Resource], more: tuple[str, ...] = ()) -> None:
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert told.keys() <= {*_STEPS, *_SILENT}, f"{folder} uses {told.keys() - {*_STEPS, *_SILENT}}"
    steps: dict[str, Callable[[Any], None]] = {
        "resources": lambda name: resources.extend(_read(folder / name)),
        "configMapGenerator": lambda made: resources.append(_config_map(folder, made)),
        "components": lambda name: _apply(folder / name, resources),
        "patches": lambda patch: _patch(patch, resources),
        "replacements": lambda replacement: _replace(replacement, resources),
        "labels": lambda labels: _label(labels, resources),
        "images": lambda image: _name_image(image, resources),
    }
    for step in _STEPS:
        for value in (*told.get(step, ()), *(more if step == "components" else ())):
            steps[step](value)


def _read(place: Path) -> list[Resource]:
    if place.is_dir():
        return build(place)
    # Through JSON: what YAML's anchors share is shared no more.
    return [json.loads(json.dumps(one)) for one in yaml.safe_load_all(place.read_text()) if one]


def _config_map(folder: Path, told: Any) -> Resource:
    files = {name: (folder / name).read_text() for name in told["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": told["name"]}, "data": files}


def _patch(patch: Any, resources: list[Resource]) -> None:
    told = yaml.safe_load(patch["patch"])
    for resource in [one for one in resources if re.fullmatch(patch["target"]["kind"], one["kind"])]:
        if isinstance(told, list):
            jsonpatch.apply_patch(resource, told, in_place=True)
        else:
            assert told.pop("$patch") == "delete"
            assert told["metadata"]["name"] == resource["metadata"]["name"]
            resources.remove(resource)


def _replace(replacement: Any, resources: list[Resource]) -> None:
    (value,) = [one for one in resources if one["kind"] == replacement["source"]["kind"]]
    for part in replacement["source"]["fieldPath"].split("."):
        value = value[part]
    for target in replacement["targets"]:
        (place,) = [one for one in resources if one["kind"] == target["select"]["kind"]]
        (path,) = target["fieldPaths"]
        *parts, last = path.split(".")
        for part in parts:
            place = place[part]
        place[last] = deepcopy(value)


def _label(labels: Any, resources: list[Resource]) -> None:
    for resource in resources:
        resource["metadata"].setdefault("labels", {}).update(labels["pairs"])


def _name_image(image: Any, resources: list[Resource]) -> None:
    for container in containers(resources):
        if container["image"] == image["name"]:
            container["image"] = f"{image['newName']}:{image['newTag']}"

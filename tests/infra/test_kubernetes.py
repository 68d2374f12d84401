"""Manifests, built as kustomize builds them, held to KubeRay's schemas and to this project's own commands."""

import gzip
import shlex
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonpatch
import jsonschema
import pytest
import yaml

from jobs.cli import COMMANDS
from jobs.recipes.loop import RECIPES

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "infra" / "kubernetes"
SCHEMAS = ROOT.parent / "shared" / "schemas"
OVERLAYS = sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))


def build(folder: Path, more: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The resources of a kustomization: what this project uses of kustomize."""
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    known = {"apiVersion", "kind", "resources", "components", "labels", "images", "patches"}
    assert set(told) <= known, f"{folder} uses {set(told) - known}"
    resources: list[dict[str, Any]] = []
    for name in told.get("resources", ()):
        place = folder / name
        resources += build(place) if place.is_dir() else [one for one in yaml.safe_load_all(place.read_text()) if one]
    patches = list(told.get("patches", ()))
    for component in (*told.get("components", ()), *more):
        patches += yaml.safe_load((folder / component / "kustomization.yaml").read_text())["patches"]
    for patch in patches:
        found = [one for one in resources if one["kind"] == patch["target"]["kind"]]
        assert found, f"a patch of {folder} finds no {patch['target']}"
        for resource in found:
            jsonpatch.apply_patch(resource, yaml.safe_load(patch["patch"]), in_place=True)
    for pairs in told.get("labels", ()):
        for resource in resources:
            resource["metadata"].setdefault("labels", {}).update(pairs["pairs"])
    for image in told.get("images", ()):
        for container in (one for resource in resources for one in containers(resource)):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return deepcopy(resources)


def containers(value: Any) -> list[dict[str, Any]]:
    """All containers in a resource."""
    if isinstance(value, dict):
        own = value.get("containers", []) if isinstance(value.get("containers"), list) else []
        return [*own, *(one for key, part in value.items() if key != "containers" for one in containers(part))]
    return [one for part in value for one in containers(part)] if isinstance(value, list) else []


def of_kind(resources: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [resource for resource in resources if resource["kind"] == kind]
    return found


def strict(schema: Any) -> Any:
    """A schema that refuses fields it does not know."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(part) for name, part in schema.items()}
    if made.get("type") == "object" and "properties" in made and "additionalProperties" not in made:
        made["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    return made


@pytest.fixture(scope="module")
def rayjob_schema() -> Any:
    file = SCHEMAS / "ray.io_rayjobs.yaml.gz"
    if not file.is_file():
        pytest.skip(f"{file} is not here")
    definition = yaml.load(gzip.decompress(file.read_bytes()), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (version,) = [one for one in definition["spec"]["versions"] if one["name"] == "v1"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_jobs_are_what_kuberay_takes(overlay: str, rayjob_schema: Any) -> None:
    job = of_kind(build(KUBERNETES / "overlays" / overlay), "RayJob")
    assert [f"{'/'.join(map(str, error.path))}: {error.message}" for error in rayjob_schema.iter_errors(job)] == []
    assert job["metadata"]["name"] == f"levo-{overlay}"


def test_the_schema_refuses_what_it_does_not_know(rayjob_schema: Any) -> None:
    job = of_kind(build(KUBERNETES / "base"), "RayJob")
    job["spec"]["entryPoint"] = "x"
    del job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["maxReplicas"]
    messages = sorted(error.message for error in rayjob_schema.iter_errors(job))
    assert len(messages) == 2
    assert "'entryPoint' was unexpected" in messages[1]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_command_recipe_and_option_is_this_projects(overlay: str) -> None:
    import importlib

    import tyro

    job = of_kind(build(KUBERNETES / "overlays" / overlay), "RayJob")
    program, name, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "levo"
    command = next(command for command in COMMANDS if command.name == name)
    module = importlib.import_module(command.module)
    (options,) = [
        found for found in vars(module).values() if getattr(found, "__name__", "") == f"{name.title()}Options"
    ]
    parsed = tyro.cli(options, args=arguments)
    assert getattr(parsed, "recipe", "demo") in RECIPES


@pytest.mark.parametrize("overlay", [*OVERLAYS, "base"])
def test_pods_may_do_nothing_that_they_need_not(overlay: str) -> None:
    folder = KUBERNETES / ("base" if overlay == "base" else f"overlays/{overlay}")
    resources = build(folder)
    cluster = of_kind(resources, "RayJob")["spec"]["rayClusterSpec"]
    templates = [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]
    selected = of_kind(resources, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    volumes = {of_kind(resources, "PersistentVolumeClaim")["metadata"]["name"]}
    for template in templates:
        pod = template["spec"]
        assert selected.items() <= template["metadata"]["labels"].items()
        assert pod["serviceAccountName"] == of_kind(resources, "ServiceAccount")["metadata"]["name"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"]
        (container,) = pod["containers"]
        assert container["image"].startswith("levo:")
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        claims = {v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if "persistentVolumeClaim" in v}
        assert claims == volumes
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert cluster["authOptions"] == {"mode": "token", "secretName": "levo-ray-token"}
    text = "".join(path.read_text() for path in KUBERNETES.rglob("*.yaml"))
    assert "password" not in text.lower()


def test_kueue_admits_a_job_that_it_may_suspend(rayjob_schema: Any) -> None:
    job = of_kind(build(KUBERNETES / "overlays" / "train", more=("../../components/kueue",)), "RayJob")
    assert list(rayjob_schema.iter_errors(job)) == []
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "levo"
    assert job["spec"]["suspend"] is True
    assert job["spec"]["shutdownAfterJobFinishes"] is True


def test_training_has_gpus_and_the_corpus_has_none() -> None:
    def limits(overlay: str) -> dict[str, str]:
        job = of_kind(build(KUBERNETES / "overlays" / overlay), "RayJob")
        (group,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
        found: dict[str, str] = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        return found

    assert limits("train")["nvidia.com/gpu"] == limits("align")["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in limits("corpus")

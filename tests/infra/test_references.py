"""Every name in a manifest is somebody's: command, option, recipe, image, port, variable, claim, map or secret."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import tyro
import yaml

from jobs.cli import COMMANDS
from jobs.recipes.loop import RECIPES
from tests.infra.kustomize import OVERLAYS, ROOT, overlay
from tests.infra.manifests import command_lines, everything, of_kind, pods
from tests.infra.variables import is_known_variable

ALL = everything()
GUIDE = (ROOT / "docs" / "guide" / "cluster.md").read_text()
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
COMPOSE = yaml.safe_load((ROOT / "infra" / "compose" / "compose.yaml").read_text())
NAMES_AND_THE_API = {53, 443, 6443}


@pytest.mark.parametrize("name", ALL)
def test_every_command_option_and_recipe_is_this_projects(name: str) -> None:
    for program, command_name, *arguments in command_lines(ALL[name]):
        assert program == "levo"
        command = next((one for one in COMMANDS if one.name == command_name), None)
        assert command is not None, f"no command {command_name}"
        module = importlib.import_module(command.module)
        options = getattr(module, f"{command_name.title()}Options", None)
        if options is None:
            assert arguments == [], f"levo {command_name} has no options"
            continue
        parsed = tyro.cli(options, args=arguments)
        assert getattr(parsed, "recipe", "demo") in RECIPES


@pytest.mark.parametrize("name", ALL)
def test_every_image_is_one_that_the_build_script_makes(name: str) -> None:
    made = set(re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "infra" / "images" / "Dockerfile").read_text(), re.MULTILINE))
    for pod in pods(ALL[name]):
        image, _, tag = pod.container["image"].partition(":")
        version, _, target = tag.partition("-")
        assert (image, version) == ("levo", VERSION)
        assert target in made & {"cpu", "cuda"}


@pytest.mark.parametrize("name", ALL)
def test_everything_that_a_pod_mounts_or_reads_is_there(name: str) -> None:
    resources = ALL[name]
    there = {(one["kind"], one["metadata"]["name"]) for one in resources}
    for pod in pods(resources):
        assert ("ServiceAccount", pod.spec["serviceAccountName"]) in there
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        assert {mount["name"] for mount in pod.container["volumeMounts"]} == set(volumes)
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in there
            elif "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in there
            else:
                assert "emptyDir" in volume


@pytest.mark.parametrize("name", ALL)
def test_every_file_that_a_command_names_lies_in_a_mount(name: str) -> None:
    for command in command_lines(ALL[name]):
        for path in re.findall(r"--[\w-]+=(/\S+)", " ".join(command)):
            assert path.startswith(("/runs/", "/etc/levo/")), path
    for pod in pods(ALL[name]):
        for argument in pod.container.get("args", ()):
            if "/etc/levo/" in argument:
                (mount,) = [one for one in pod.container["volumeMounts"] if one["mountPath"] == "/etc/levo"]
                assert mount["readOnly"]
                assert argument.rpartition("/")[2] in of_kind(ALL[name], "ConfigMap")["data"]


def made_in_the_guide(secret: str) -> str:
    """The guide's command that makes a secret, or nothing."""
    commands = GUIDE.replace("\\\n", " ").splitlines()
    return next((one for one in commands if one.startswith(f"kubectl create secret generic {secret} ")), "")


def secrets_in(value: Any) -> Iterator[tuple[str, str | None]]:
    """Secrets that are asked for by name, with their key where one is named."""
    if isinstance(value, dict):
        if "secretKeyRef" in value:
            yield value["secretKeyRef"]["name"], value["secretKeyRef"]["key"]
        if "secretRef" in value:
            yield value["secretRef"]["name"], None
        if "secretName" in value:
            yield value["secretName"], "auth_token"
        for part in value.values():
            yield from secrets_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from secrets_in(part)


@pytest.mark.parametrize("name", ALL)
def test_every_secret_and_its_key_is_one_that_the_guide_makes(name: str) -> None:
    for secret, key in secrets_in(ALL[name]):
        line = made_in_the_guide(secret)
        assert line, f"docs/guide/cluster.md does not make the secret {secret}"
        assert key is None or f"--from-literal={key}=" in line


def test_no_secret_is_written_down() -> None:
    kinds = {resource["kind"] for resources in ALL.values() for resource in resources}
    assert "Secret" not in kinds
    for path in (*ROOT.glob("infra/kubernetes/**/*.yaml"), *ROOT.glob("infra/images/*"), *ROOT.glob("infra/compose/*")):
        text = path.read_text()
        assert not re.search(r"(?i)(password|secret|token|key)\w*\s*[:=]\s*[\"']?[A-Za-z0-9+/]{16,}", text), path


@pytest.mark.parametrize("name", ALL)
def test_every_variable_is_one_that_somebody_reads(name: str) -> None:
    resources = ALL[name]
    named = {one["name"] for pod in pods(resources) for one in pod.container.get("env", ())}
    arguments = " ".join(word for pod in pods(resources) for word in pod.container.get("args", ()))
    for job in resources:
        runtime = yaml.safe_load(job.get("spec", {}).get("runtimeEnvYAML", "{}"))
        named |= runtime.get("env_vars", {}).keys()
    unknown = {one for one in named if f"$({one})" not in arguments and not is_known_variable(one)}
    assert unknown == set()


def test_the_variables_of_the_environments_secret_are_read_by_somebody() -> None:
    named = re.findall(r"--from-literal=(\w+)=", made_in_the_guide("levo-environment"))
    assert "MLFLOW_TRACKING_URI" in named
    assert [one for one in named if not is_known_variable(one)] == []


def container_ports() -> set[int]:
    """Ports that pods and services of compose listen at."""
    containers = [pod.container for resources in ALL.values() for pod in pods(resources)]
    found = {port["containerPort"] for container in containers for port in container.get("ports", ())}
    for service in COMPOSE["services"].values():
        found |= {int(port.rpartition(":")[2]) for port in (*service.get("ports", ()), *service.get("expose", ()))}
    return found


@pytest.mark.parametrize("name", OVERLAYS)
def test_policies_open_only_ports_that_something_listens_at(name: str) -> None:
    known = container_ports() | NAMES_AND_THE_API
    for policy in [one for one in ALL[name] if one["kind"] == "NetworkPolicy"]:
        rules = [*policy["spec"]["ingress"], *policy["spec"]["egress"]]
        assert {port["port"] for rule in rules for port in rule.get("ports", ())} <= known


def test_served_applications_take_the_arguments_that_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.serve.schema import ServeDeploySchema

    from pipelines.loop.access import TOKEN_VARIABLE, AccessError

    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    told = yaml.safe_load(of_kind(overlay("serve"), "RayService")["spec"]["serveConfigV2"])
    songs, scorers = ServeDeploySchema.model_validate(told).applications
    assert (songs.route_prefix, scorers.route_prefix) == ("/", None)
    builders = []
    for application in (songs, scorers):
        module, _, name = application.import_path.partition(":")
        builders.append(getattr(importlib.import_module(module), name))
    # The first goes as far as asking for its token, the second as far as the run's folder.
    with pytest.raises(AccessError, match=TOKEN_VARIABLE):
        builders[0](songs.args)
    with pytest.raises((OSError, ValueError), match="/runs/current"):
        builders[1](scorers.args)
    with pytest.raises(ValueError, match="expected run, and if given"):
        builders[0](songs.args | {"modle": "x"})


def test_the_checks_of_names_can_fail() -> None:
    assert not is_known_variable("LEVO_NO_SUCH_THING")
    assert not is_known_variable("RAY_NO_SUCH_THING")
    assert is_known_variable("LEVO_IMAGE")
    assert is_known_variable("RAY_AUTH_TOKEN")

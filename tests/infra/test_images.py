"""Dockerfiles: bases pinned by digest, nobody runs as root, what is copied exists, and the build script's arguments."""

import hashlib
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.infra.kustomize import ROOT
from tests.infra.variables import is_known_variable

IMAGES = ROOT / "infra" / "images"
DOCKERFILES = sorted(IMAGES.glob("*Dockerfile"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = {"cpu": "Dockerfile", "cuda": "Dockerfile", "mlflow": "services.Dockerfile", "s3": "services.Dockerfile"}


def instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Instructions with their words, continued lines joined, comments left out."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages(dockerfile: Path) -> dict[str, list[tuple[str, str]]]:
    """Each stage's instructions with those of the stages that it is made from before them."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for word, rest in instructions(dockerfile):
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = [*found.get(base, [("FROM", base)])]
        else:
            found[name].append((word, rest))
    return found


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_every_base_is_a_version_with_its_digest(dockerfile: Path) -> None:
    for name, stage in stages(dockerfile).items():
        assert name
        assert re.fullmatch(r"[\w./-]+:v?\d[\w.-]*@sha256:[0-9a-f]{64}", stage[0][1]), stage[0][1]


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_nobody_and_with_the_pods_own_number(target: str) -> None:
    stage = stages(IMAGES / TARGETS[target])[target]
    users = [rest for word, rest in stage if word == "USER"]
    assert users == ["10001:10001"]
    assert not [rest for word, rest in stage[stage.index(("USER", "10001:10001")) :] if word == "RUN"]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_what_is_copied_exists_and_is_let_through(dockerfile: Path) -> None:
    let_through = {line[1:] for line in Path(f"{dockerfile}.dockerignore").read_text().splitlines() if line[:1] == "!"}
    copied = set()
    for word, rest in instructions(dockerfile):
        if word == "COPY" and not rest.startswith("--from="):
            *sources, _ = rest.split()
            copied |= set(sources)
    assert copied == let_through
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_wheel_is_made_of_all_that_the_project_says() -> None:
    copies = [rest.split()[:-1] for word, rest in stages(IMAGES / "Dockerfile")["wheel"] if word == "COPY"]
    copied = {name for names in copies for name in names}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert copied == {*wheel, *PROJECT["project"]["license-files"], PROJECT["project"]["readme"], "pyproject.toml"}


@pytest.mark.parametrize("target", ["cpu", "cuda"])
def test_an_image_is_installed_by_the_constraints_whose_digest_it_states(target: str) -> None:
    stage = stages(IMAGES / "Dockerfile")[target]
    words = [rest for _, rest in stage]
    assert "LEVO_CONSTRAINTS_SHA256" in words
    assert any("sha256sum --check" in rest for rest in words)
    assert any("LEVO_IMAGE=$LEVO_IMAGE" in rest for rest in words)
    assert any("LEVO_COMMIT=$LEVO_COMMIT LEVO_COMMIT_MODIFIED=$LEVO_COMMIT_MODIFIED" in rest for rest in words)
    (install,) = [rest for rest in words if "/wheels/levo-" in rest and rest.startswith("pip install")]
    assert "--constraint /opt/levo/constraints.txt" in install
    (extras,) = re.findall(r"levo-\*\.whl\)\[([\w,]+)\]", install)
    assert set(extras.split(",")) <= PROJECT["project"]["optional-dependencies"].keys()


def test_what_the_images_install_beside_is_pinned() -> None:
    pinned = {line.partition("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    for target in ("cuda", "mlflow"):
        for word, rest in stages(IMAGES / TARGETS[target])[target]:
            if word == "RUN" and rest.startswith("pip install"):
                assert "--constraint" in rest
                told = rest.partition("constraints.txt")[2].partition("&&")[0]
                names = set(re.sub(r'"\$\(.*?"', "", told).lower().split())
                assert names
                assert names <= pinned


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_every_variable_of_an_image_is_one_that_somebody_reads(dockerfile: Path) -> None:
    named = {name for word, rest in instructions(dockerfile) if word == "ENV" for name in re.findall(r"(\w+)=", rest)}
    assert named
    assert [name for name in named if not is_known_variable(name)] == []


@pytest.mark.parametrize("target", TARGETS)
def test_the_build_script_names_the_image_and_the_constraints(target: str, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    docker.chmod(0o755)
    environment = os.environ | {"DOCKER": str(docker), "NAME": "registry.example/levo", "TORCH_FIND_LINKS": "/wheels"}
    command = [str(IMAGES / "build.sh"), target]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=True)
    image = f"registry.example/levo:{PROJECT['project']['version']}-{target}"
    digest = hashlib.sha256((ROOT / "constraints.txt").read_bytes()).hexdigest()
    words = done.stdout.splitlines()
    assert words[words.index("--file") + 1] == f"infra/images/{TARGETS[target]}"
    assert words[words.index("--target") + 1] == target
    assert words[words.index("--tag") + 1] == image
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"LEVO_COMMIT={head.stdout.strip()}" in words
    assert {"LEVO_COMMIT_MODIFIED=true", "LEVO_COMMIT_MODIFIED=false"} & set(words)
    given = {f"LEVO_IMAGE={image}", f"LEVO_CONSTRAINTS_SHA256={digest}", "TORCH_FIND_LINKS=/wheels"}
    assert given <= set(words)
    assert words[-1] == f"build: {image}"


def test_an_image_that_nobody_knows_is_refused() -> None:
    done = subprocess.run([IMAGES / "build.sh", "tpu"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "build: no image 'tpu'; expected cpu, cuda, mlflow or s3\n"

"""The builder that the tests use against kustomize itself, and what is generated against what it is generated of."""

import shutil
import subprocess

import pytest
import yaml

from tests.infra.kustomize import KUBERNETES, OVERLAYS, ROOT, Resource, build, overlay


def by_name(resources: list[Resource]) -> list[Resource]:
    return sorted(resources, key=lambda one: (one["kind"], one["metadata"]["name"]))


@pytest.mark.parametrize("folder", ["base", *(f"overlays/{name}" for name in OVERLAYS)])
def test_the_builder_builds_what_kustomize_builds(folder: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed here")
    done = subprocess.run([kubectl, "kustomize", KUBERNETES / folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert by_name(build(KUBERNETES / folder)) == by_name(theirs)


def test_the_nights_template_is_what_the_refresh_overlay_builds() -> None:
    template = KUBERNETES / "overlays" / "nightly" / "night.yaml"
    written = [one for one in yaml.safe_load_all(template.read_text()) if one]
    again = f"kubectl kustomize infra/kubernetes/overlays/refresh > {template.relative_to(ROOT)}"
    assert by_name(written) == by_name(overlay("refresh")), f"{template.name} is old; write it again: {again}"


def test_every_component_is_used_or_offered() -> None:
    used = "".join(path.read_text() for path in KUBERNETES.rglob("kustomization.yaml"))
    guide = (ROOT / "docs" / "guide" / "cluster.md").read_text()
    for component in KUBERNETES.glob("components/*/kustomization.yaml"):
        name = component.parent.name
        assert f"components/{name}" in used + guide, name

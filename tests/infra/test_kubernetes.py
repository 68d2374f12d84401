"""Manifests held to the schemas of their kinds, to what a pod may do, and to what a recipe needs."""

import re
from typing import Any

import pytest
import yaml

from jobs.recipes.loop import RECIPES
from tests.infra.kustomize import KUBERNETES, OVERLAYS, ROOT, Resource, build, overlay
from tests.infra.manifests import TODAY, everything, of_kind, pods, ray_cluster
from tests.infra.schemas import problems

STEPS = ("corpus", "train", "align", "refresh")
WITH_RAY = (*STEPS, "nightly-raycronjob", "serve")
ALL = everything()
HEAD_PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "metrics": 8080, "serve": 8000}


@pytest.mark.parametrize("name", ALL)
def test_every_resource_is_what_its_kind_takes(name: str) -> None:
    found = {f"{one['kind']} {one['metadata']['name']}": problems(one) for one in ALL[name]}
    assert found == {told: [] for told in found}


def test_the_schemas_refuse_what_they_do_not_know_and_put_defaults_in() -> None:
    job = of_kind(overlay("train"), "RayJob")
    job["spec"]["entryPoint"] = "x"
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0] |= {"maxReplicas": None, "minReplicas": None}
    (message,) = problems(job)
    assert message.startswith("spec: ")
    assert "'entryPoint' was unexpected" in message


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("CronJob", ("spec", "schedulle"), "* * * * *"),
        ("CronJob", ("spec", "concurrencyPolicy"), 1),
        ("Role", ("rules",), [{"verb": ["get"]}]),
        ("RoleBinding", ("roleRef",), {"name": "x"}),
        ("NetworkPolicy", ("spec", "egres"), []),
        ("ConfigMap", ("data", "night.yaml"), {"kind": "RayJob"}),
        ("PersistentVolumeClaim", ("spec", "accessModes"), "ReadWriteMany"),
    ],
)
def test_a_slip_in_a_core_kind_is_found(kind: str, place: tuple[str, ...], value: Any) -> None:
    resource = next(one for one in overlay("nightly") if one["kind"] == kind)
    assert problems(resource) == []
    *parts, last = place
    holder = resource
    for part in parts:
        holder = holder[part]
    holder[last] = value
    assert problems(resource) != []


@pytest.mark.parametrize("name", ALL)
def test_pods_may_do_nothing_that_they_need_not(name: str) -> None:
    for pod in pods(ALL[name]):
        assert pod.spec["securityContext"]["runAsNonRoot"]
        assert pod.spec["securityContext"]["runAsUser"] > 0
        assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.spec["automountServiceAccountToken"] is (pod.owner == "CronJob")
        assert pod.container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys()
        assert "memory" in pod.container["resources"]["limits"]
        # What is written without a mount is refused by the read-only root.
        assert {"name": "HOME", "value": "/tmp"} in pod.container["env"]
        assert "/tmp" in {mount["mountPath"] for mount in pod.container["volumeMounts"]}


@pytest.mark.parametrize("name", WITH_RAY)
def test_rays_ports_are_behind_a_token_and_a_policy(name: str) -> None:
    resources = overlay(name)
    assert ray_cluster(resources)["authOptions"] == {"mode": "token", "secretName": "levo-ray-token"}
    (policy,) = [one for one in resources if one["kind"] == "NetworkPolicy"]
    selected = policy["spec"]["podSelector"]["matchLabels"]
    found = list(pods(resources))
    assert found
    # The submitter too: it reaches the dashboard by this label alone.
    assert all(selected.items() <= pod.labels.items() for pod in found)
    ours, operator, monitoring = policy["spec"]["ingress"]
    assert ours == {"from": [{"podSelector": {"matchLabels": selected}}]}
    assert [port["port"] for port in operator["ports"]] == [8265]
    assert [port["port"] for port in monitoring["ports"]] == [8080]
    assert all("ports" in rule or rule["to"] == ours["from"] for rule in policy["spec"]["egress"])


def test_the_account_that_makes_nights_may_do_that_alone() -> None:
    resources = overlay("nightly")
    assert of_kind(resources, "Role")["rules"] == [
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create", "get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]},
    ]
    binding, (pod,) = of_kind(resources, "RoleBinding"), pods(of_kind(resources, "CronJob"))
    assert binding["roleRef"]["name"] == of_kind(resources, "Role")["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [pod.spec["serviceAccountName"]]
    (policy,) = [one for one in resources if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] != "levo"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod.labels.items()
    assert policy["spec"]["ingress"] == []


def test_nights_never_overlap_and_end_before_the_next() -> None:
    cronjob = of_kind(overlay("nightly"), "CronJob")["spec"]
    night = of_kind(overlay("refresh"), "RayJob")["spec"]
    assert cronjob["concurrencyPolicy"] == "Forbid"
    assert cronjob["timeZone"] == "Etc/UTC"
    assert cronjob["startingDeadlineSeconds"] > 0
    assert {"successfulJobsHistoryLimit", "failedJobsHistoryLimit"} <= cronjob.keys()
    longest_s = cronjob["jobTemplate"]["spec"]["activeDeadlineSeconds"]
    assert night["activeDeadlineSeconds"] < longest_s < 24 * 3600
    minute, hour, *_ = cronjob["schedule"].split()
    due_s = 24 * 3600 + int(hour) * 3600 + int(minute) * 60
    (missed,) = re.findall(r"newest_date\S*\) > (\d+) \* 3600", (ROOT / "infra/prometheus/alerts.yml").read_text())
    assert int(missed) * 3600 >= due_s + cronjob["startingDeadlineSeconds"] + night["activeDeadlineSeconds"]


def test_the_raycronjob_runs_the_nights_job() -> None:
    cronjob = of_kind(overlay("nightly-raycronjob"), "RayCronJob")["spec"]
    night = of_kind(overlay("refresh"), "RayJob")["spec"]
    dated = cronjob["jobTemplate"].pop("entrypoint")
    assert dated.replace(TODAY, "2026-01-01") == night.pop("entrypoint")
    assert cronjob["jobTemplate"] == night
    assert cronjob["schedule"] == of_kind(overlay("nightly"), "CronJob")["spec"]["schedule"]


def test_the_service_runs_on_a_steps_cluster_with_its_own_token_and_port() -> None:
    cluster = ray_cluster(overlay("serve"))
    step = ray_cluster(overlay("train"))
    for pod in pods(cluster):
        (token,) = [one for one in pod.container["env"] if one["name"] == "LEVO_SERVE_TOKEN"]
        assert token["valueFrom"] == {"secretKeyRef": {"name": "levo-serve-token", "key": "token"}}
        pod.container["env"].remove(token)
    assert cluster == step
    served = yaml.safe_load(of_kind(overlay("serve"), "RayService")["spec"]["serveConfigV2"])
    assert served["http_options"]["port"] == HEAD_PORTS["serve"]
    (songs,) = [one for one in served["applications"] if one["name"] == "songs"]
    assert songs["args"]["replicas"] == pool(cluster, "gpu")[0], "one for each GPU that is held"


@pytest.mark.parametrize("name", WITH_RAY)
def test_the_head_names_every_port_that_kuberay_makes_services_of(name: str) -> None:
    """KubeRay fills in its defaults only where a head's container names no port at all."""
    from ray._private import ray_constants

    head = ray_cluster(overlay(name))["headGroupSpec"]["template"]["spec"]["containers"][0]
    named = {port["name"]: port["containerPort"] for port in head["ports"]}
    assert named == HEAD_PORTS
    assert named["dashboard"] == ray_constants.DEFAULT_DASHBOARD_PORT


@pytest.mark.parametrize("name", WITH_RAY)
def test_shared_memory_holds_the_object_store_that_ray_asks_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import utils

    for pod in pods(ray_cluster(overlay(name))):
        (shared,) = [one["emptyDir"] for one in pod.spec["volumes"] if one["name"] == "shared-memory"]
        size_bytes = in_bytes(shared["sizeLimit"])
        monkeypatch.setattr(utils, "get_shared_memory_bytes", lambda size_bytes=size_bytes: size_bytes)
        asked = utils.resolve_object_store_memory(in_bytes(pod.container["resources"]["limits"]["memory"]))
        assert asked <= size_bytes, "else Ray keeps its objects in a folder on disk"


def in_bytes(quantity: str) -> int:
    """A quantity of Kubernetes in GiB, as bytes."""
    number, unit = quantity[:-2], quantity[-2:]
    assert unit == "Gi"
    return int(number) * 2**30


@pytest.mark.parametrize("name", ["train", "align", "refresh", "serve"])
def test_kueue_admits_what_it_may_suspend(name: str) -> None:
    kind = "RayService" if name == "serve" else "RayJob"
    queued = of_kind(ALL[f"{name}+kueue"], kind)
    assert queued["metadata"]["labels"] == {
        "app.kubernetes.io/part-of": "levo",
        "kueue.x-k8s.io/queue-name": "levo",
    }
    # Its webhook suspends what carries the label, in the field that it clears again.
    assert "suspend" not in queued["spec"]
    assert kind == "RayService" or queued["spec"]["shutdownAfterJobFinishes"] is True


def pool(cluster: Resource, name: str) -> tuple[float, float]:
    """The GPUs of a pool of workers, and its CPUs."""
    (group,) = [group for group in cluster["workerGroupSpecs"] if group["groupName"] == name]
    resources = group["template"]["spec"]["containers"][0]["resources"]
    gpus = float(resources["limits"].get("nvidia.com/gpu", 0))
    return group["replicas"] * gpus, group["replicas"] * float(resources["requests"]["cpu"])


@pytest.mark.parametrize("name", ["train", "align", "refresh"])
def test_the_pool_of_gpus_holds_what_the_recipe_asks_for_at_once(name: str) -> None:
    recipe = RECIPES["base"](0)
    cluster = ray_cluster(overlay(name))
    gpus, cpus = pool(cluster, "gpu")
    assert gpus >= max(recipe.training.num_workers, recipe.sampling.num_replicas)
    assert cpus >= recipe.training.num_workers * recipe.training.threads_per_worker
    assert pool(cluster, "cpu")[0] == 0


def test_pods_without_a_gpu_stay_off_the_nodes_that_have_them() -> None:
    for name in WITH_RAY:
        for pod in pods(overlay(name)):
            on_gpus = "nvidia.com/gpu" in pod.container["resources"]["limits"]
            assert ("tolerations" in pod.spec) == on_gpus
            assert pod.container["image"].endswith("-cuda" if on_gpus else "-cpu")
    assert [group["groupName"] for group in ray_cluster(overlay("corpus"))["workerGroupSpecs"]] == ["cpu"]


def test_a_step_by_itself_is_a_check_of_the_cluster() -> None:
    assert of_kind(build(KUBERNETES / "base"), "RayJob")["spec"]["entrypoint"] == "levo doctor"
    assert set(WITH_RAY) | {"nightly"} == set(OVERLAYS)

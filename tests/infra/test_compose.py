"""The compose file: its words, its references, who may reach it, and where its secrets come from."""

import re
import subprocess
import tomllib
from typing import Any

import pytest
import yaml

from tests.infra.kustomize import ROOT
from tests.infra.variables import is_known_variable

FOLDER = ROOT / "infra" / "compose"
TEXT = (FOLDER / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
# The words of the compose specification that are used here; another one is added here after a look into it.
TOP = {"name", "services", "configs", "volumes", "x-guarded"}
SERVICE = {
    *("cap_drop", "command", "configs", "depends_on", "environment", "expose", "healthcheck", "image", "ports"),
    *("pull_policy", "read_only", "restart", "security_opt", "shm_size", "tmpfs", "user", "volumes"),
}
HEALTHCHECK = {"test", "interval", "timeout", "retries", "start_period"}
OF_THEIR_IMAGES = {
    "postgres": {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "POSTGRES_INITDB_ARGS"},
    "s3": {"ROOT_ACCESS_KEY", "ROOT_SECRET_KEY"},
    "grafana": {
        "GF_SECURITY_ADMIN_PASSWORD",
        "GF_AUTH_ANONYMOUS_ENABLED",
        "GF_USERS_ALLOW_SIGN_UP",
        "GF_ANALYTICS_REPORTING_ENABLED",
        "GF_ANALYTICS_CHECK_FOR_UPDATES",
    },
}
"""Variables that images made elsewhere read, by their documentation."""


def test_the_file_says_only_what_compose_knows() -> None:
    assert COMPOSE.keys() == TOP
    for service in SERVICES.values():
        assert service.keys() <= SERVICE
        assert service["healthcheck"].keys() <= HEALTHCHECK
        assert service["healthcheck"]["test"][0] == "CMD"
    for config in COMPOSE["configs"].values():
        assert config.keys() == {"content"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_nothing_that_it_need_not(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True
    assert not service["user"].startswith(("0", "root"))


def test_everything_is_published_on_this_machine_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert [port for port in published if not re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)] == []
    assert len(published) == len(set(published))
    assert "ports" not in SERVICES["postgres"]


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned_by_its_digest_or_is_our_own(name: str) -> None:
    service = SERVICES[name]
    if service["image"].startswith("levo:"):
        tag, _, target = service["image"].removeprefix("levo:").partition("-")
        files = "".join(path.read_text() for path in (ROOT / "infra" / "images").glob("*Dockerfile"))
        assert tag == VERSION
        assert f" AS {target}\n" in files
        assert service["pull_policy"] == "never"
    else:
        assert re.fullmatch(r"[\w/]+:v?\d[\w.-]*@sha256:[0-9a-f]{64}", service["image"])


def test_everything_that_is_referred_to_is_there() -> None:
    for service in SERVICES.values():
        for other in service.get("depends_on", ()):
            assert "healthcheck" in SERVICES[other]
        for volume in service.get("volumes", ()):
            source, _, rest = volume.partition(":")
            if source.startswith("."):
                assert (FOLDER / source).resolve().exists(), source
                assert rest.endswith(":ro")
            else:
                assert source in COMPOSE["volumes"]
        for config in service.get("configs", ()):
            assert config["source"] in COMPOSE["configs"]
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert COMPOSE["volumes"].keys() <= used


def addresses(value: Any) -> set[tuple[str, int]]:
    """Hosts and ports in addresses, wherever they are."""
    return {(host, int(port)) for host, port in re.findall(r"(?:://|\}@)([a-z][a-z0-9]*):(\d+)", str(value))}


def listening(service: dict[str, Any]) -> set[int]:
    told = {int(port.rpartition(":")[2]) for port in (*service.get("ports", ()), *service.get("expose", ()))}
    # Ports of Ray's metrics and of PostgreSQL are named in a command and by the image.
    return told | {int(port) for port in re.findall(r"port=(\d+)", " ".join(service.get("command", ())))}


def test_every_address_is_a_services_and_a_port_that_it_listens_at() -> None:
    scraped = yaml.safe_load((ROOT / "infra" / "prometheus" / "prometheus.yml").read_text())
    targets = [t for job in scraped["scrape_configs"] for one in job.get("static_configs", ()) for t in one["targets"]]
    asked = {(host, int(port)) for host, _, port in (target.partition(":") for target in targets)}
    asked = {("prometheus" if host == "localhost" else host, port) for host, port in asked}
    for host, port in asked | addresses(COMPOSE):
        assert host in SERVICES, host
        assert port in listening(SERVICES[host]) | ({5432} if host == "postgres" else set()), (host, port)


def test_every_variable_is_one_that_somebody_reads() -> None:
    for name, service in SERVICES.items():
        for variable in service.get("environment", ()):
            assert variable in OF_THEIR_IMAGES.get(name, ()) or is_known_variable(variable), f"{name}: {variable}"


def test_secrets_come_from_a_file_that_is_not_committed_and_stop_it_where_they_are_missing() -> None:
    asked = re.findall(r"\$\{(\w+)([^}]*)\}", TEXT)
    assert asked
    assert {rest for _, rest in asked} == {":?set it in .env"}
    example = [line for line in (FOLDER / "example.env").read_text().splitlines() if line and not line.startswith("#")]
    assert sorted(example) == sorted({f"{name}=" for name, _ in asked})
    ignored = subprocess.run(["git", "check-ignore", "infra/compose/.env"], cwd=ROOT, capture_output=True, check=False)
    assert ignored.returncode == 0


def test_mlflow_asks_who_is_there_and_runs_nobodys_code() -> None:
    mlflow = SERVICES["mlflow"]
    assert "--app-name=basic-auth" in mlflow["command"]
    assert mlflow["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert mlflow["environment"]["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert "default_permission = NO_PERMISSIONS" in COMPOSE["configs"]["mlflow-auth"]["content"]
    assert mlflow["environment"]["MLFLOW_BACKEND_STORE_URI"] in COMPOSE["configs"]["mlflow-auth"]["content"]


def test_mlflow_and_ray_know_the_options_that_they_are_started_with() -> None:
    from mlflow.cli import server
    from ray.scripts.scripts import start

    for name, command in (("mlflow", server), ("ray", start)):
        known = {option for parameter in command.params for option in parameter.opts}
        told = {word.partition("=")[0] for word in SERVICES[name]["command"][2:]}
        assert told <= known, told - known


def test_rays_dashboard_asks_for_a_token() -> None:
    environment = SERVICES["ray"]["environment"]
    assert environment["RAY_AUTH_MODE"] == "token"
    assert environment["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN")

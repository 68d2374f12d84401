"""Alerts that parse, fire and have their page; dashboards and alerts that read series which exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.observability.catalogue import CATALOGUE
from tests.infra.kustomize import KUBERNETES, ROOT, build
from tests.infra.manifests import pods
from tests.infra.queries import DASHBOARDS, GRAFANA, PROMETHEUS, dashboard_queries, groups, names_of, names_used, rules
from tests.infra.queries import panels as panels_of

RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = {rule.name: rule for rule in rules() if rule.is_alert}
NOT_RAYS = {"up"}


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus's own checker."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool (apt-get install prometheus has it): no query was parsed, and no alert fired")
    return program


def run(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration(promtool: str) -> None:
    run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")


def test_every_alert_fires_where_it_should(promtool: str) -> None:
    run(promtool, "test", "rules", PROMETHEUS / "alerts.test.yml")


def test_a_wrong_expectation_fails_the_rules_own_tests(promtool: str, tmp_path: Path) -> None:
    shutil.copy(PROMETHEUS / "alerts.yml", tmp_path)
    text = (PROMETHEUS / "alerts.test.yml").read_text().replace("2d 4h 0m 0s", "2d 5h 0m 0s")
    (tmp_path / "alerts.test.yml").write_text(text)
    with pytest.raises(AssertionError, match="2d 4h 0m 0s"):
        run(promtool, "test", "rules", tmp_path / "alerts.test.yml")


def test_every_alert_is_seen_to_fire_and_to_be_silent() -> None:
    told = yaml.safe_load((PROMETHEUS / "alerts.test.yml").read_text())["tests"]
    asked = [one for test in told for one in test.get("alert_rule_test", ())]
    assert {one["alertname"] for one in asked if one["exp_alerts"]} == set(ALERTS)
    assert {one["alertname"] for one in asked if not one["exp_alerts"]} == set(ALERTS)


def test_every_query_of_the_dashboards_parses(promtool: str, tmp_path: Path) -> None:
    queries = dashboard_queries()
    assert len(queries) > 20
    made = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries.values())]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": made}]}))
    run(promtool, "check", "rules", tmp_path / "rules.yml")


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    pages = {page.stem for page in RUNBOOKS.glob("*.md")}
    assert pages == set(ALERTS)
    for name, rule in ALERTS.items():
        assert rule.told["annotations"]["runbook"] == f"docs/runbooks/{name}.md"
        assert rule.told["labels"]["severity"] in ("warning", "critical")


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_says_what_it_means_what_to_look_at_what_to_do_and_when_it_is_over(name: str) -> None:
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == ["What it means", "What to look at first", "What to do", "When it is over"]
    assert "```" in text
    assert len(text.splitlines()) < 70


@pytest.mark.parametrize("name", ALERTS)
def test_the_commands_of_a_page_are_this_projects(name: str) -> None:
    from jobs.cli import COMMANDS

    known = {command.name for command in COMMANDS} | {"refresh", "rollback", "explain"}
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert set(re.findall(r"^levo ([a-z]+)", text, re.MULTILINE)) <= known


def test_kubernetes_has_the_same_rules() -> None:
    (rule,) = yaml.safe_load_all((KUBERNETES / "components" / "monitoring" / "prometheusrule.yaml").read_text())
    assert rule["spec"]["groups"] == groups()


def test_pod_monitors_find_rays_pods_and_the_gateway_and_their_port() -> None:
    resources = build(KUBERNETES / "overlays" / "refresh", ("../../components/monitoring",))
    monitors = [one["spec"] for one in resources if one["kind"] == "PodMonitor"]
    every_pod = [pod for pod in pods(resources) if pod.container["name"] != "ray-job-submitter"]
    assert len(every_pod) >= 3
    for pod in every_pod:
        (monitor,) = [one for one in monitors if selects(one["selector"], pod.labels)]
        (endpoint,) = monitor["podMetricsEndpoints"]
        ports = {port["name"]: port["containerPort"] for port in pod.container["ports"]}
        assert ports[endpoint["port"]] == 8080, "the port that the network policy opens to the monitoring"
        assert bool(endpoint.get("honorLabels")) == (pod.container["name"] == "pushgateway")


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector of Kubernetes takes a pod."""
    assert selector.keys() <= {"matchLabels", "matchExpressions"}
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "NotIn"
        if labels.get(expression["key"]) in expression["values"]:
            return False
    return bool(selector["matchLabels"].items() <= labels.items())


def test_the_gateway_may_do_nothing_that_it_need_not() -> None:
    resources = build(KUBERNETES / "overlays" / "refresh", ("../../components/monitoring",))
    (pod,) = [pod for pod in pods(resources) if pod.container["name"] == "pushgateway"]
    assert pod.spec["securityContext"]["runAsNonRoot"] is True
    assert pod.spec["automountServiceAccountToken"] is False
    security = pod.container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('sum by (a, b) (rate(ray_x_total{c="d e"}[5m] offset 1h)) > 0 and on (a) up', {"ray_x_total", "up"}),
        ("histogram_quantile(0.9, sum by (le) (levo:x:p95)) / 1e3", {"levo:x:p95"}),
        ("time() - max(y unless z) or vector(0)", {"y", "z"}),
    ],
)
def test_the_names_of_a_query_are_found(query: str, expected: set[str]) -> None:
    assert names_of(query) == expected


def test_every_series_that_is_read_is_ours_or_rays_own() -> None:
    ray = pytest.importorskip("ray")
    folder = Path(ray.__file__).parent / "dashboard" / "modules" / "metrics" / "dashboards"
    rays = {name for file in folder.glob("*.py") for name in re.findall(r"\bray_\w+", file.read_text())}
    ours = {name for metric in CATALOGUE for name in metric.exported_names}
    assert names_used() - ours - rays == NOT_RAYS


def test_every_metric_of_ours_is_on_a_dashboard() -> None:
    shown = {name for query in dashboard_queries().values() for name in names_of(query)}
    recorded = {rule.name: names_of(rule.query) for rule in rules() if rule.name in shown}
    read = shown.union(*recorded.values())
    assert [metric.name for metric in CATALOGUE if not read & set(metric.exported_names)] == []


def test_dashboards_ask_for_the_datasource_that_is_provisioned() -> None:
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    told = [json.loads(file.read_text()) for file in DASHBOARDS]
    assert len({one["uid"] for one in told}) == len(told) == 3
    for dashboard in told:
        assert len({panel["id"] for panel in panels_of(dashboard)}) == len(dashboard["panels"])
        for panel in panels_of(dashboard):
            sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
            assert {one["uid"] for one in sources} == {source["uid"]}


def test_panels_do_not_lie_on_each_other() -> None:
    for file in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in panels_of(json.loads(file.read_text())):
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert place["x"] + place["w"] <= 24
            assert not cells & taken, f"{file.name}: {panel['title']} lies on another panel"
            taken |= cells

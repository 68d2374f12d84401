"""The alerts' and the dashboards' queries, and the names of the series that a query reads."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.infra.kustomize import ROOT

PROMETHEUS = ROOT / "infra" / "prometheus"
GRAFANA = ROOT / "infra" / "grafana"
DASHBOARDS = sorted(GRAFANA.glob("dashboards/*.json"))
_QUOTED = re.compile(r'"[^"]*"')
_LABELS = re.compile(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on|without|ignoring) *\([^)]*\)")
_NAME = re.compile(r"(?<![\w:])[a-zA-Z_][\w:]*\b(?! *\()")
_WORDS = {"and", "or", "unless", "offset", "by", "on"}


@dataclass(frozen=True)
class Rule:
    """An alert or a recorded series."""

    name: str
    query: str
    told: dict[str, Any]

    @property
    def is_alert(self) -> bool:
        return "alert" in self.told


def groups() -> list[dict[str, Any]]:
    """The rules' groups, as the file has them."""
    return list(yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"])


def rules() -> list[Rule]:
    """All rules."""
    told = [rule for group in groups() for rule in group["rules"]]
    return [Rule(rule.get("alert") or rule["record"], rule["expr"], rule) for rule in told]


def panels(value: Any) -> Iterator[dict[str, Any]]:
    """A dashboard's panels."""
    yield from value["panels"]


def dashboard_queries() -> dict[str, str]:
    """The dashboards' queries by where they are, with Grafana's own variables filled in."""
    found = {}
    for file in DASHBOARDS:
        for panel in panels(json.loads(file.read_text())):
            for target in panel["targets"]:
                query = target["expr"].replace("$__rate_interval", "5m")
                found[f"{file.stem}: {panel['title']} {target['refId']}"] = re.sub(r"\$\w+", ".*", query)
    return found


def names_of(query: str) -> set[str]:
    """The names of the series that a query reads."""
    plain = _LABELS.sub(" ", _QUOTED.sub("", query))
    return {name for name in _NAME.findall(re.sub(r"\boffset +\w+", " ", plain)) if name not in _WORDS}


def names_used() -> set[str]:
    """The series that alerts and dashboards read, without those that our rules record."""
    queries = [rule.query for rule in rules()] + list(dashboard_queries().values())
    return {name for query in queries for name in names_of(query)} - {rule.name for rule in rules()}

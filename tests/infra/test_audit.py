"""The audit's report: what was found, what could not be asked, and never the one for the other; it fails no build."""

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

_INFRA = Path(__file__).resolve().parents[2] / "infra"


@pytest.fixture(scope="module")
def report() -> Callable[[str, str], list[str]]:
    spec = importlib.util.spec_from_file_location("audit_report", _INFRA / "audit_report.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    told: Callable[[str, str], list[str]] = module.report
    return told


def test_known_faults_are_listed_with_what_repairs_them(report: Callable[[str, str], list[str]]) -> None:
    fault = {"id": "PYSEC-1", "aliases": ["CVE-2025-1"], "fix_versions": ["2.6.0"]}
    packages = [
        {"name": "torch", "version": "2.5.1", "vulns": [fault, {"id": "GHSA-2", "fix_versions": []}]},
        {"name": "ray", "version": "2.60.0", "vulns": []},
        {"name": "private", "skip_reason": "not found"},
    ]
    assert report(json.dumps({"dependencies": packages}), "") == [
        "audit: 2 known faults in 2 packages; 1 could not be asked about",
        "audit: torch 2.5.1: PYSEC-1, CVE-2025-1; repaired in 2.6.0",
        "audit: torch 2.5.1: GHSA-2; repaired in no version",
    ]


def test_a_database_that_knows_no_package_is_not_taken_for_a_clean_bill(
    report: Callable[[str, str], list[str]],
) -> None:
    packages = [{"name": "torch", "skip_reason": "not found"}, {"name": "ray", "skip_reason": "not found"}]
    told = ["audit: NOT DONE, the advisory database here knows none of the 2 packages"]
    assert report(json.dumps({"dependencies": packages}), "No known vulnerabilities found") == told


def test_no_answer_is_said_with_the_last_word(report: Callable[[str, str], list[str]]) -> None:
    told = report("", "WARNING: first\nERROR: could not connect\n")
    assert told == ["audit: NOT DONE, the advisory database was not reached: ERROR: could not connect"]
    assert "ended before it answered" in report("", "")[0]


def test_an_auditor_that_cannot_be_installed_fails_no_build(tmp_path: Path) -> None:
    nowhere = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path), "PIP_CONFIG_FILE": os.devnull}
    done = subprocess.run(
        [_INFRA / "audit.sh", tmp_path / "venv"],
        env=os.environ | nowhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.startswith("audit: NOT DONE, pip-audit cannot be installed: ERROR: ")

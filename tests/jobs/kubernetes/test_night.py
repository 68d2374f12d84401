"""A night's RayJob as a pure function of a template and of the Job that was due."""

from datetime import date
from typing import Any

import pytest

from jobs.kubernetes.night import SCHEDULED, NightState, date_of, rayjob_of, reason_of, state_of, template_in

_TEMPLATE = """
kind: ServiceAccount
metadata: {name: levo}
---
kind: RayJob
metadata: {name: levo-refresh, labels: {app.kubernetes.io/part-of: levo}}
spec:
  entrypoint: levo refresh --date=2026-01-01 --run=/runs/current --store=/runs/--date=/x
"""


def job(due: str | None, made: str = "2026-11-27T00:10:00Z") -> dict[str, Any]:
    annotations = {} if due is None else {"annotations": {SCHEDULED: due}}
    return {"metadata": {"name": "levo-refresh-1", "creationTimestamp": made, **annotations}}


@pytest.mark.parametrize(
    ("due", "day"),
    [
        ("2026-11-26T02:30:00Z", date(2026, 11, 26)),
        # The day is that of the schedule's time zone, though it was the day before in Greenwich.
        ("2026-11-26T00:30:00+09:00", date(2026, 11, 26)),
        ("2026-11-26T23:30:00-08:00", date(2026, 11, 26)),
    ],
)
def test_a_night_is_the_day_on_which_it_was_due_however_late_it_starts(due: str, day: date) -> None:
    assert date_of(job(due, made="2026-11-28T09:00:00Z")) == day


def test_a_job_made_by_hand_is_the_day_of_its_making() -> None:
    assert date_of(job(None, made="2026-11-27T00:10:00Z")) == date(2026, 11, 27)


def test_a_time_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"levo-refresh-1 was due at 'tonight'; expected a time such as"):
        date_of(job("tonight"))


def test_a_night_has_its_date_in_its_name_and_in_its_command_alone() -> None:
    template = template_in(_TEMPLATE)
    made = rayjob_of(template, date(2026, 11, 26))
    assert made["metadata"] == {"name": "levo-refresh-2026-11-26", "labels": {"app.kubernetes.io/part-of": "levo"}}
    assert made["spec"] == {
        "entrypoint": "levo refresh --date=2026-11-26 --run=/runs/current --store=/runs/--date=/x",
    }
    assert template == template_in(_TEMPLATE)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: ServiceAccount", "holds 0 RayJobs; expected one"),
        (_TEMPLATE + "---\nkind: RayJob", "holds 2 RayJobs; expected one"),
        (_TEMPLATE.replace("--date=2026-01-01", ""), "has 0 options --date=DAY; expected one"),
        (_TEMPLATE.replace("--date=2026-01-01", "--date=1 --date=2"), "has 2 options --date=DAY"),
    ],
)
def test_a_template_that_is_not_one_night_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        template_in(text)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ({}, NightState.RUNNING),
        ({"jobDeploymentStatus": "Initializing"}, NightState.RUNNING),
        ({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}, NightState.RUNNING),
        # Ended, and its cluster not yet taken down.
        ({"jobDeploymentStatus": "Running", "jobStatus": "SUCCEEDED"}, NightState.RUNNING),
        ({"jobDeploymentStatus": "Retrying", "jobStatus": "FAILED"}, NightState.RUNNING),
        ({"jobDeploymentStatus": "Suspended"}, NightState.RUNNING),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, NightState.SUCCEEDED),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, NightState.FAILED),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED"}, NightState.FAILED),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "RUNNING", "reason": "DeadlineExceeded"}, NightState.FAILED),
        ({"jobDeploymentStatus": "ValidationFailed"}, NightState.FAILED),
    ],
)
def test_a_night_stands_as_kuberay_says(status: dict[str, str], state: NightState) -> None:
    assert state_of({"status": status}) is state


def test_a_failure_is_told_in_kuberays_words() -> None:
    status = {"jobStatus": "FAILED", "reason": "AppFailed", "message": "exit code 1"}
    assert reason_of({"status": status}) == "FAILED: AppFailed: exit code 1"
    assert reason_of({}) == "no reason given"

"""Dates of nights: each wrong one is named, ranges are whole, and what was begun is found."""

from pathlib import Path

import pytest

from jobs.refresh_dates import asked_dates
from pipelines.refresh.store import RefreshStore


def test_a_range_is_every_night_of_it_in_order(tmp_path: Path) -> None:
    assert asked_dates(None, "2026-02-27..2026-03-02", False, RefreshStore(tmp_path)) == (
        "2026-02-27",
        "2026-02-28",
        "2026-03-01",
        "2026-03-02",
    )


@pytest.mark.parametrize(
    ("one", "backfill", "told"),
    [
        ("2026-02-30", None, "--date is '2026-02-30'; expected a date"),
        (None, "2026-02-27", "--backfill is '2026-02-27'; expected two dates"),
        (None, "2026-03-02..2026-03-01", "0 nights; expected 1 to 366, the earlier date first"),
        (None, "2020-01-01..2026-03-01", "expected 1 to 366"),
        ("2026-03-01", "2026-03-01..2026-03-02", "expected one of the two"),
        (None, None, "no night is asked for"),
    ],
)
def test_what_is_no_night_is_named(one: str | None, backfill: str | None, told: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=told):
        asked_dates(one, backfill, False, RefreshStore(tmp_path))


def test_nothing_begun_leaves_nothing_to_resume(tmp_path: Path) -> None:
    assert asked_dates(None, None, True, RefreshStore(tmp_path)) == ()
    (tmp_path / "nights" / "2026-01-02" / "attempt-000003").mkdir(parents=True)
    (tmp_path / "nights" / "2026-01-01" / "attempt-000001").mkdir(parents=True)
    assert asked_dates(None, None, True, RefreshStore(tmp_path)) == ("2026-01-01", "2026-01-02")

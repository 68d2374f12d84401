"""The alignment benchmark's table, and its options."""

import pytest

from jobs import bench
from jobs.bench_table import markdown_table, verdicts
from jobs.recipes.loop import demo
from pipelines.loop.evaluation import EvaluationCell
from pipelines.loop.evaluation_steps import ABSENT_METRICS, REPORTED
from pipelines.loop.metrics import METRICS
from pipelines.loop.rivals import RIVALS
from reward.bootstrap import MeanInterval


def interval(mean: float, low: float, high: float) -> MeanInterval:
    return MeanInterval(mean, low, high, num_prompts=96, coverage=0.95)


def cell(value: float, difference: float, low: float, high: float) -> EvaluationCell:
    return EvaluationCell(interval(value, value, value), interval(difference, low, high), None)


def table(lyric: EvaluationCell) -> dict[str, dict[str, EvaluationCell]]:
    names = [metric.name for metric in METRICS if metric.name not in ABSENT_METRICS]
    rows = {model: dict.fromkeys(names, cell(0.5, 0.0, -0.1, 0.1)) for model in (*REPORTED, *RIVALS)}
    rows["base"] = dict.fromkeys(names, EvaluationCell(interval(0.25, 0.2, 0.3), None, None))
    rows["lyric"] = dict.fromkeys(names, lyric)
    return rows


def test_a_difference_is_bold_only_where_its_interval_excludes_zero() -> None:
    seeds = {0: table(cell(0.2, -0.05, -0.08, -0.02)), 1: table(cell(0.2, -0.05, -0.12, 0.02))}
    line = next(line for line in markdown_table(seeds).splitlines() if line.startswith("| lyric"))
    assert line.split("|")[2].strip() == "**-0.050 [-0.080, -0.020]**<br>-0.050 [-0.120, +0.020]"


def test_the_base_shows_its_values() -> None:
    line = next(line for line in markdown_table({0: table(cell(0, 0, 0, 0))}).splitlines() if line.startswith("| base"))
    assert line.split("|")[2].strip() == "0.250"


def test_seeds_that_are_no_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="0,one"):
        bench.main(["alignment", "--seeds", "0,one"])


def test_the_verdicts_count_seeds_by_direction_and_interval() -> None:
    names = [metric.name for metric in METRICS if metric.name not in ABSENT_METRICS]
    first, second = table(cell(0.2, -0.05, -0.08, -0.02)), table(cell(0.2, -0.05, -0.12, 0.02))
    second["lyric"]["pocketsphinx_phoneme_error_rate"] = cell(0.3, 0.04, 0.01, 0.08)
    first["interpolated"] = dict.fromkeys(names, cell(0.2, -0.01, -0.015, 0.0))
    first["gated"]["phoneme_error_rate"] = cell(0.1, -0.06, -0.1, 0.0)
    lines = verdicts({0: first, 1: second}, demo().merge)
    assert lines[0].startswith("lyric: better on phoneme_error_rate with an interval without zero in 1 of 2;")
    assert lines[0].endswith("agrees in sign in 1 of 2")
    kept = next(line for line in lines if line.startswith("interpolated"))
    assert kept.startswith("interpolated: better on phoneme_error_rate with an interval without zero in 0 of 2;")
    assert kept.endswith("in 1 of 2")
    gated = next(line for line in lines if line.startswith("gated"))
    assert "better than the lyric model on phoneme_error_rate in 1 of 2" in gated

"""Metrics and cells of an evaluation as the summary holds them."""

from typing import Literal

from jobs.summary import Difference, Measurement, MetricFacts
from levo.song.scores import Metric
from pipelines.loop.evaluation import EvaluationCell


def facts_of(metric: Metric) -> MetricFacts:
    """How to read a metric."""
    better: Literal["lower", "higher"] = "lower" if metric.better == "lower" else "higher"
    judge: Literal["training", "held_out"] = "training" if metric.judge == "training" else "held_out"
    return MetricFacts(better, metric.unit, judge)


def measurement_of(cell: EvaluationCell) -> Measurement:
    """A value with its interval and its difference, or the reason why there is none."""
    if cell.value is None:
        return Measurement(None, missing=cell.missing or "not measured")
    difference = cell.difference
    return Measurement(
        cell.value.mean,
        (cell.value.low, cell.value.high),
        None if difference is None else Difference(difference.mean, (difference.low, difference.high)),
    )

"""The tables of the speed benchmarks: what was measured, against what is aimed at."""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass

from jobs.benchmarks.arms import machine
from jobs.benchmarks.merge import MergeSetting, compare_merge
from jobs.benchmarks.training import TrainingSetting, compare_training


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio: its name, its value, and what it should be."""

    what: str
    value: float
    goal: str


def bench_speed(name: str, *, as_json: bool) -> str:
    """Run one of the speed benchmarks; its table, or the same as JSON."""
    figures = BENCHMARKS[name]()
    taken = {"benchmark": name, "machine": machine(), "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")}
    if as_json:
        return json.dumps(taken | {"figures": {one.what: {"value": one.value, "goal": one.goal} for one in figures}})
    lines = [f"{name}, {taken['machine']}, {taken['date']}", "", "| what | measured | goal |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {one.what} | {one.value:.4g} | {one.goal} |" for one in figures)])


def _training() -> list[Figure]:
    found = compare_training(TrainingSetting())
    return [
        Figure("tokens a second, over transformers' Llama", found.speed_ratio, ">= 1.2"),
        Figure("peak memory, over transformers' Llama", found.memory_ratio, "<= 0.6"),
        Figure("difference of the losses after equal steps", found.loss_difference, "<= 1e-3"),
        Figure("tokens a second, ours", found.num_tokens / found.ours.median_s, ""),
        Figure("peak memory, ours (GB)", found.ours.peak_bytes / 1e9, ""),
    ]


def _merge() -> list[Figure]:
    found = compare_merge(MergeSetting())
    return [
        Figure("peak memory, over one model", found.memory_ratio, "<= 1.2"),
        Figure("largest difference from float64 arithmetic", found.largest_difference, "<= 3e-7"),
        Figure("size of one model (GB)", found.model_bytes / 1e9, ""),
        Figure("seconds", found.measured.median_s, ""),
    ]


BENCHMARKS: dict[str, Callable[[], list[Figure]]] = {"training": _training, "merge": _merge}

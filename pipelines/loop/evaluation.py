"""The ablation table: each model's mean on every metric, and its paired difference from the base, over prompts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

import numpy as np
from jaxtyping import Float64

from levo.song.arrays import Array
from levo.song.candidate import ScoredCandidate
from levo.song.scores import Metric, Score
from reward.bootstrap import MeanInterval, PromptMeans, bootstrap_mean, paired_bootstrap, prompt_means


@dataclass(frozen=True, slots=True)
class EvaluationCell:
    """One model on one metric: its mean and its difference from the base, or the reason why there is none."""

    value: MeanInterval | None
    difference: MeanInterval | None
    missing: str | None
    num_songs_without_score: int = 0

    @property
    def compared(self) -> MeanInterval:
        """The difference from the base; raises `ValueError` where there is none."""
        if self.difference is None:
            raise ValueError(f"no difference from the base: {self.missing or 'this is the base itself'}")
        return self.difference

    def gain(self, metric: Metric) -> float:
        """The difference from the base in the direction that is better."""
        return metric.gain(self.compared.mean)

    def surely_better(self, metric: Metric) -> bool:
        """Whether the model is better than the base, with an interval without zero."""
        return self.compared.excludes_zero and self.gain(metric) > 0


@dataclass(frozen=True, slots=True)
class EvaluationTable:
    """Cells by model, then by metric name; `base` names the row that differences are taken from."""

    base: str
    cells: dict[str, dict[str, EvaluationCell]]

    def cell(self, model: str, metric: Metric) -> EvaluationCell:
        """One cell."""
        return self.cells[model][metric.name]


def evaluate(
    songs: Mapping[str, Sequence[ScoredCandidate]],
    metrics: Sequence[Metric],
    *,
    base: str,
    absent: Mapping[str, str],
    seed: int,
    num_resamples: int = 10_000,
) -> EvaluationTable:
    """Make the table from scored songs by model.

    `absent` gives, by metric name, why a metric has no backend here. Differences are paired by prompt: each prompt's
    songs are averaged first. Raises `ValueError` where the base has no songs.
    """
    if not songs.get(base):
        raise ValueError(f"no scored songs of the base {base!r}; got {sorted(songs)}")
    means = {
        model: {metric.name: metric_means(candidates, metric) for metric in metrics}
        for model, candidates in songs.items()
    }
    cells = {
        model: {
            metric.name: _cell(
                by_metric[metric.name],
                None if model == base else means[base][metric.name],
                absent.get(metric.name),
                seed,
                num_resamples,
            )
            for metric in metrics
        }
        for model, by_metric in means.items()
    }
    return EvaluationTable(base, cells)


class Scored(Protocol):
    """A song of a prompt, and what was said of it by metric name."""

    @property
    def prompt_id(self) -> str:
        """The prompt."""
        ...

    @property
    def scores(self) -> dict[str, Score]:
        """The scores."""
        ...


def metric_means(songs: Iterable[Scored], metric: Metric) -> PromptMeans:
    """A metric's mean by prompt; songs that were not judged by it are left out."""
    return prompt_means((song.prompt_id, song.scores[metric.name]) for song in songs if metric.name in song.scores)


def has_score(song: Scored, metric: Metric) -> bool:
    """Whether a metric has a value for a song."""
    return metric.name in song.scores and song.scores[metric.name].value is not None


def mean_scores(songs: Iterable[Scored]) -> dict[str, float]:
    """Each metric's mean over the songs that have it."""
    values: dict[str, list[float]] = defaultdict(list)
    for song in songs:
        for name, score in song.scores.items():
            if score.value is not None:
                values[name].append(score.value)
    return {name: fmean(some) for name, some in values.items()}


def _cell(
    model: PromptMeans, base: PromptMeans | None, absent: str | None, seed: int, num_resamples: int
) -> EvaluationCell:
    num_without = sum(model.missing.values())
    if absent is not None:
        return EvaluationCell(None, None, absent)
    if len(model.means) < 2:
        reason = max(model.missing, key=lambda name: model.missing[name], default="no song was scored")
        return EvaluationCell(None, None, reason, num_without)
    value = bootstrap_mean(_values(model.means), seed=seed, num_resamples=num_resamples)
    difference = None
    if base is not None and len(model.means.keys() & base.means.keys()) >= 2:
        difference = paired_bootstrap(model.means, base.means, seed=seed, num_resamples=num_resamples).interval
    return EvaluationCell(value, difference, None, num_without)


def _values(means: Mapping[str, float]) -> Float64[Array, " prompt"]:
    return np.array([means[prompt_id] for prompt_id in sorted(means)], dtype=np.float64)

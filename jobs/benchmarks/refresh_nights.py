"""Nights in a row: how the champion's songs for the report prompts change, which no decision of a night has read."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from jobs.benchmarks.refresh_line import TrialLine
from levo.song.scores import Axis
from pipelines.loop.evaluation import metric_means
from pipelines.loop.metrics import HELD_OUT_METRIC, PHONEME_ERROR_RATE
from pipelines.refresh.commits import ModelEntry
from pipelines.refresh.gate_steps import report_songs
from pipelines.refresh.night import run_night
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import SongPlaces
from reward.bootstrap import MeanInterval, bootstrap_mean, paired_bootstrap

_FIRST = date(2026, 1, 1)
ERROR_RATES = (PHONEME_ERROR_RATE, HELD_OUT_METRIC[Axis.LYRIC])
Means = dict[str, dict[str, float]]
"""By metric, the mean of each prompt."""


@dataclass(frozen=True, slots=True)
class NightTold:
    """A night: what it decided, what the gate said, and the seconds that it took."""

    date: str
    num_new_pairs: int
    num_aged: int
    policy_drift: float
    trained: tuple[str, ...]
    gate: str
    champion: str
    wall_s: float


@dataclass(frozen=True, slots=True)
class ChampionTold:
    """A champion's phoneme error rates on the report prompts by judge, and their differences from the champion before.

    The judges are the recogniser that makes pairs and the one that makes none.
    """

    digest: str
    date: str | None
    error_rates: dict[str, MeanInterval]
    differences: dict[str, MeanInterval]


@dataclass(frozen=True, slots=True)
class NightsInARow:
    """All nights, all champions, and the last champion against the first."""

    nights: tuple[NightTold, ...]
    champions: tuple[ChampionTold, ...]
    last_against_first: dict[str, MeanInterval]


def run_nights(line: TrialLine, num_nights: int, line_seed: int, progress: Callable[[object], None]) -> NightsInARow:
    """Do so many nights, then have every champion sing the report prompts; what is done is not done again."""
    with line.opened(line_seed) as opened:
        setting = replace(opened, config=replace(opened.config, has_report=False))
        return _in_a_row(setting, num_nights, line.store.parent / f"report-{line_seed}", progress)


def _in_a_row(setting: NightSetting, num_nights: int, report: Path, progress: Callable[[object], None]) -> NightsInARow:
    nights = []
    for number in range(num_nights):
        nights.append(_night(setting, (_FIRST + timedelta(days=number)).isoformat()))
        progress(nights[-1])
    champions = _champions(setting)
    means = {entry.digest: _means(setting, entry, report) for entry in champions}
    told = []
    for place, entry in enumerate(champions):
        rates = {name: _interval(found) for name, found in means[entry.digest].items()}
        before = {} if place == 0 else _differences(means[entry.digest], means[champions[place - 1].digest])
        told.append(ChampionTold(entry.digest, entry.night, rates, before))
        progress(told[-1])
    whole = {} if len(champions) < 2 else _differences(means[champions[-1].digest], means[champions[0].digest])
    return NightsInARow(tuple(nights), tuple(told), whole)


def _night(setting: NightSetting, night: str) -> NightTold:
    began_s = time.monotonic()
    commit = run_night(setting, night).commit
    record = commit.night
    if record is None:
        raise RuntimeError(f"the commit of {night} has no night")
    gate = "no candidate"
    if record.gate is not None:
        gate = "promoted" if record.gate.is_promoted else f"refused: {'; '.join(record.gate.reasons)}"
    return NightTold(
        night,
        sum(record.new_pairs.values()),
        record.aged_pairs,
        record.policy_drift,
        record.trained_axes,
        gate,
        commit.champion.digest[:12],
        time.monotonic() - began_s,
    )


def _champions(setting: NightSetting) -> list[ModelEntry]:
    history = list(setting.store.commits.history())[::-1]
    return list(dict.fromkeys(commit.champion for commit in history))


def _means(setting: NightSetting, entry: ModelEntry, folder: Path) -> Means:
    songs = report_songs(setting, entry, SongPlaces(folder, folder / "marks"))
    return {metric.name: metric_means(songs.scored, metric).means for metric in ERROR_RATES}


def _differences(ours: Means, others: Means) -> dict[str, MeanInterval]:
    return {name: paired_bootstrap(ours[name], others[name], seed=0).interval for name in ours}


def _interval(means: dict[str, float]) -> MeanInterval:
    return bootstrap_mean(np.array([means[name] for name in sorted(means)]), seed=0)

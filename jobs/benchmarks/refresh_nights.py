"""Nights in a row: how the champion's songs for the report prompts change, which no decision of a night has read."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from jobs.benchmarks.refresh_line import TrialLine
from pipelines.loop.evaluation import metric_means
from pipelines.loop.metrics import PHONEME_ERROR_RATE
from pipelines.refresh.commits import ModelEntry
from pipelines.refresh.gate_steps import report_songs
from pipelines.refresh.night import run_night
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import SongPlaces
from reward.bootstrap import MeanInterval, bootstrap_mean, paired_bootstrap

_FIRST = date(2026, 1, 1)


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
    """A champion's phoneme error rate on the report prompts, and its difference from the champion before."""

    digest: str
    date: str | None
    error_rate: MeanInterval
    difference: MeanInterval | None


@dataclass(frozen=True, slots=True)
class NightsInARow:
    """All nights, all champions, and the last champion against the first."""

    nights: tuple[NightTold, ...]
    champions: tuple[ChampionTold, ...]
    last_against_first: MeanInterval | None


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
        before = (
            None
            if place == 0
            else paired_bootstrap(means[entry.digest], means[champions[place - 1].digest], seed=0).interval
        )
        told.append(ChampionTold(entry.digest, entry.night, _interval(means[entry.digest]), before))
        progress(told[-1])
    last = means[champions[-1].digest]
    whole = None if len(champions) < 2 else paired_bootstrap(last, means[champions[0].digest], seed=0).interval
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


def _means(setting: NightSetting, entry: ModelEntry, folder: Path) -> dict[str, float]:
    songs = report_songs(setting, entry, SongPlaces(folder, folder / "marks"))
    return metric_means(songs.scored, PHONEME_ERROR_RATE).means


def _interval(means: dict[str, float]) -> MeanInterval:
    return bootstrap_mean(np.array([means[name] for name in sorted(means)]), seed=0)

"""The step of a night that says whether a training pays: the facts, gathered from the pool and the nights before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from levo.song.candidate import PreferencePair
from levo.song.scores import Axis
from pipelines.loop.metrics import HELD_OUT_METRIC
from pipelines.loop.records import ScoredRow
from pipelines.refresh.commits import NIGHT, Commit
from pipelines.refresh.decision import AxisFacts, Decision, RefreshFacts, decide
from pipelines.refresh.pool import PooledPair, active, read_pool
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs, SongPlaces

_YIELDS_REMEMBERED = 7


@dataclass(frozen=True, slots=True)
class Votes:
    """On how many pairs a judge decided, and on how many of them as the pair does."""

    agreed: int = 0
    asked: int = 0

    @property
    def share(self) -> float:
        """Of those that it decided."""
        return self.agreed / self.asked


def agreement(
    setting: NightSetting, date: str, singer: str, songs: ScoredSongs, pool: Sequence[PooledPair], places: SongPlaces
) -> dict[str, Votes]:
    """By axis, on how many of some of the night's new pairs a judge that made none prefers the same song.

    Pairs on which it is undecided, or silent, are left out; an axis without any has no entry.
    """
    chosen = {axis: _sample(active(pool, axis), date, setting.config.agreement_pairs) for axis in Axis}
    asked = {name for pairs in chosen.values() for pair in pairs for name in (pair.chosen_id, pair.rejected_id)}
    if not asked:
        return {}
    number = setting.config.candidates_per_prompt
    pipeline = setting.pipeline(held_out=True, singers=(singer,), songs_heard=number)
    with setting.hands.scorer(pipeline, places.marks) as scorer:
        heard = scorer.score([row for row in songs.candidates if row.candidate_id in asked])
    scored = {row.candidate_id: row for row in heard if isinstance(row, ScoredRow)}
    votes = {axis.value: _votes(axis, pairs, scored) for axis, pairs in chosen.items()}
    return {axis: found for axis, found in votes.items() if found.asked}


def decide_training(
    setting: NightSetting,
    date: str,
    pool: Sequence[PooledPair],
    songs: Mapping[str, Any],
    agreed: Mapping[str, Votes],
) -> Decision:
    """Gather the facts and decide.

    What is new to a preference is what its own last training did not see: that of another one teaches it nothing.
    """
    history = [commit for commit in setting.store.commits.history() if commit.kind == NIGHT]
    trainings = {axis: _last_training(history, axis) for axis in Axis}
    axes = {}
    for axis, training in trainings.items():
        rows, votes = active(pool, axis), agreed.get(axis.value, Votes())
        seen = set() if training is None else _pair_ids(setting, history[training])
        axes[axis] = AxisFacts(
            num_pairs=len(rows),
            num_new=sum(row.pair.pair_id not in seen for row in rows),
            num_tonight=sum(row.night == date for row in rows),
            num_candidates=int(songs["num_candidates"]),
            was_trained=training is not None,
            judge_agreed=votes.agreed,
            judge_votes=votes.asked,
        )
    since = min((training + 1 for training in trainings.values() if training is not None), default=None)
    return decide(RefreshFacts(axes, since, _earlier_yields(history)), setting.config.decision)


def _sample(rows: Sequence[PooledPair], date: str, number: int) -> list[PreferencePair]:
    """Some of tonight's pairs: their ids are digests, so the first are as good as any."""
    tonight = sorted((row.pair for row in rows if row.night == date), key=lambda pair: pair.pair_id)
    return tonight[:number]


def _votes(axis: Axis, pairs: Sequence[PreferencePair], scored: Mapping[str, ScoredRow]) -> Votes:
    metric, votes = HELD_OUT_METRIC[axis], []
    for pair in pairs:
        sides = [scored.get(name) for name in (pair.chosen_id, pair.rejected_id)]
        values = [None if row is None else row.scores[metric.name].value for row in sides]
        if values[0] is not None and values[1] is not None and values[0] != values[1]:
            votes.append(metric.gain(values[0] - values[1]) > 0)
    return Votes(sum(votes), len(votes))


def _last_training(history: Sequence[Commit], axis: Axis) -> int | None:
    """How many nights of the history, the newest first, came after the last one that trained on an axis."""
    trained = (commit.night is not None and axis.value in commit.night.trained_axes for commit in history)
    return next((place for place, holds in enumerate(trained) if holds), None)


def _pair_ids(setting: NightSetting, commit: Commit) -> set[str]:
    """The pairs that were there at a training, and so were seen by it."""
    rows = [] if commit.pairs is None else read_pool(setting.store.pairs.open(commit.pairs))
    return {row.pair.pair_id for row in rows}


def _earlier_yields(history: Sequence[Commit]) -> dict[Axis, tuple[float, ...]]:
    nights = [commit.night for commit in history[:_YIELDS_REMEMBERED] if commit.night is not None]
    return {
        axis: tuple(night.new_pairs[axis.value] / night.num_candidates for night in nights if night.num_candidates)
        for axis in Axis
    }

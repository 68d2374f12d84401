"""The step of a night that says whether a training pays: the facts, gathered from the pool and the nights before."""

from collections.abc import Mapping, Sequence
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


def agreement(
    setting: NightSetting, date: str, singer: str, songs: ScoredSongs, pool: Sequence[PooledPair], places: SongPlaces
) -> dict[str, float]:
    """By axis, the share of some of the night's new pairs on which a judge that made none prefers the same song.

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
    shares = {axis.value: _agreed(axis, pairs, scored) for axis, pairs in chosen.items()}
    return {axis: share for axis, share in shares.items() if share is not None}


def decide_training(
    setting: NightSetting, pool: Sequence[PooledPair], songs: Mapping[str, Any], agreed: Mapping[str, float]
) -> Decision:
    """Gather the facts and decide."""
    history = [commit for commit in setting.store.commits.history() if commit.kind == NIGHT]
    nights_since = next((place for place, commit in enumerate(history) if _trained(commit)), None)
    seen = set() if nights_since is None else _pair_ids(setting, history[nights_since])
    axes = {}
    for axis in Axis:
        rows = active(pool, axis)
        new = [row for row in rows if row.pair.pair_id not in seen]
        axes[axis] = AxisFacts(
            num_pairs=len(rows),
            num_new=len(new),
            num_candidates=_candidates_since(history, nights_since) + int(songs["num_candidates"]),
            judge_agreement=agreed.get(axis.value),
        )
    since = None if nights_since is None else nights_since + 1
    return decide(RefreshFacts(axes, since, _earlier_yields(history)), setting.config.decision)


def _sample(rows: Sequence[PooledPair], date: str, number: int) -> list[PreferencePair]:
    """Some of tonight's pairs: their ids are digests, so the first are as good as any."""
    tonight = sorted((row.pair for row in rows if row.night == date), key=lambda pair: pair.pair_id)
    return tonight[:number]


def _agreed(axis: Axis, pairs: Sequence[PreferencePair], scored: Mapping[str, ScoredRow]) -> float | None:
    metric, votes = HELD_OUT_METRIC[axis], []
    for pair in pairs:
        sides = [scored.get(name) for name in (pair.chosen_id, pair.rejected_id)]
        values = [None if row is None else row.scores[metric.name].value for row in sides]
        if values[0] is not None and values[1] is not None and values[0] != values[1]:
            votes.append(metric.gain(values[0] - values[1]) > 0)
    return sum(votes) / len(votes) if votes else None


def _trained(commit: Commit) -> bool:
    return commit.night is not None and bool(commit.night.trained_axes)


def _pair_ids(setting: NightSetting, commit: Commit) -> set[str]:
    """The pairs that were there at a training, and so were seen by it."""
    rows = [] if commit.pairs is None else read_pool(setting.store.pairs.open(commit.pairs))
    return {row.pair.pair_id for row in rows}


def _candidates_since(history: Sequence[Commit], nights_since: int | None) -> int:
    """Songs of the nights whose pairs no training has seen."""
    untrained = history if nights_since is None else history[:nights_since]
    return sum(commit.night.num_candidates for commit in untrained if commit.night is not None)


def _earlier_yields(history: Sequence[Commit]) -> dict[Axis, tuple[float, ...]]:
    nights = [commit.night for commit in history[:_YIELDS_REMEMBERED] if commit.night is not None]
    return {
        axis: tuple(night.new_pairs[axis.value] / night.num_candidates for night in nights if night.num_candidates)
        for axis in Axis
    }

"""Fits a reward over embeddings on people's preferences, and tells how well it agrees with them elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from levo.song.arrays import Array
from reward.bootstrap import MeanInterval, bootstrap_mean
from reward.musicality.embedding_reward import RewardFit, RewardHead, RewardNetwork
from reward.musicality.preferences import Part, Preference, PreferenceData

_ONE_SIDED = 1.645


@dataclass(frozen=True, slots=True)
class PairThreshold:
    """The smallest gap of scores from which pairs are right often enough, and what it keeps."""

    gap: float
    accuracy: float
    kept_share: float


@dataclass(frozen=True, slots=True)
class RewardReport:
    """How well a reward agrees with people on songs of groups that it never saw.

    `agreement`: share of held-out preferences that it orders as people did, a mean over songs with its interval.
    `one_rater`: how often a single rater agrees with the mean of the others on those songs (None without ratings).
    `threshold` was chosen on the validation songs; `held_out` is what it gives on the test songs.
    """

    num_pairs: Mapping[str, int]
    train_agreement: float
    agreement: MeanInterval
    one_rater: float | None
    threshold: PairThreshold | None
    held_out: PairThreshold | None


@dataclass(frozen=True, slots=True, eq=False)
class FittedReward:
    """A head, and how well it agrees with people."""

    head: RewardHead
    report: RewardReport


def fit_reward(
    data: PreferenceData,
    vectors: Mapping[str, Float[Array, " dimension"]],
    embedder_digest: str,
    fit: RewardFit | None = None,
    wanted_accuracy: float = 0.8,
) -> FittedReward:
    """Fit on the training songs, choose the threshold on the validation songs, report on the test songs.

    Preferences of songs without a vector are left out. The same data and seed give the same reward. Raises
    `ValueError` where a part has no preference left.
    """
    fit = fit or RewardFit()
    known = {part: _known(data.of_part(part), vectors) for part in Part}
    for part, preferences in known.items():
        if not preferences:
            raise ValueError(f"no preference between {part} songs that have a vector; more groups of songs are needed")
    head = _fit_head(known[Part.TRAIN], vectors, embedder_digest, fit)
    gaps = {part: _gaps(head, preferences, vectors) for part, preferences in known.items()}
    num_songs = len({song for one in known[Part.VALIDATION] for song in _sides(one)})
    threshold = _threshold(gaps[Part.VALIDATION], wanted_accuracy, num_songs)
    report = RewardReport(
        num_pairs={part.value: len(preferences) for part, preferences in known.items()},
        train_agreement=float(np.mean(_right(gaps[Part.TRAIN]))),
        agreement=_agreement(known[Part.TEST], gaps[Part.TEST], fit.seed),
        one_rater=_one_rater(data, known[Part.TEST]),
        threshold=threshold,
        held_out=None if threshold is None else _kept(gaps[Part.TEST], threshold.gap),
    )
    return FittedReward(head, report)


def _known(preferences: Sequence[Preference], vectors: Mapping[str, Array]) -> list[Preference]:
    return [one for one in preferences if one.better in vectors and one.worse in vectors]


def _fit_head(
    preferences: Sequence[Preference], vectors: Mapping[str, Array], embedder_digest: str, fit: RewardFit
) -> RewardHead:
    taught = [one for one in preferences if one.agreement >= fit.min_agreement]
    if not taught:
        raise ValueError(f"no training preference has an agreement of {fit.min_agreement}; lower it")
    songs = sorted({song for one in taught for song in (one.better, one.worse)})
    table = np.stack([vectors[song] for song in songs]).astype(np.float32)
    mean, deviation = table.mean(axis=0), np.maximum(table.std(axis=0), 1e-6)
    heard = torch.from_numpy((table - mean) / deviation)
    place = {song: number for number, song in enumerate(songs)}
    better, worse = (torch.tensor([place[song] for song in side]) for side in zip(*map(_sides, taught), strict=True))
    shares = torch.tensor([one.agreement for one in taught])
    with torch.random.fork_rng():
        torch.manual_seed(fit.seed)
        head = RewardNetwork(table.shape[1], fit.hidden_size)
        _train(head, heard, better, worse, shares, fit)
    head.eval()
    with torch.inference_mode():
        logits = head(heard)
    unit = max(float(logits.std()), 1e-6)
    return RewardHead(fit, mean, deviation.astype(np.float32), head, embedder_digest, float(logits.mean()), unit)


def _sides(one: Preference) -> tuple[str, str]:
    return one.better, one.worse


def _train(head: nn.Module, heard: Tensor, better: Tensor, worse: Tensor, shares: Tensor, fit: RewardFit) -> None:
    """Cross-entropy between the share of people and sigmoid(better's logit - worse's)."""
    optimizer = torch.optim.AdamW(head.parameters(), fit.learning_rate, weight_decay=fit.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, fit.learning_rate, fit.num_steps)
    for _ in range(fit.num_steps):
        drawn = torch.randint(len(better), (min(fit.batch_pairs, len(better)),))
        gaps = head(heard[better[drawn]]) - head(heard[worse[drawn]])
        loss = functional.binary_cross_entropy_with_logits(gaps, shares[drawn])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _gaps(head: RewardHead, preferences: Sequence[Preference], vectors: Mapping[str, Array]) -> Array:
    songs = sorted({song for one in preferences for song in _sides(one)})
    scores = dict(zip(songs, head.scores(np.stack([vectors[song] for song in songs])).tolist(), strict=True))
    return np.array([scores[one.better] - scores[one.worse] for one in preferences])


def _right(gaps: Array) -> Array:
    return np.asarray((gaps > 0) + 0.5 * (gaps == 0), dtype=np.float64)


def _threshold(gaps: Array, wanted_accuracy: float, num_songs: int) -> PairThreshold | None:
    """The smallest gap from which more than the wanted share is right; None where no gap does it.

    The share must exceed what is wanted by its own uncertainty (one-sided, 95 %), so that it holds for other songs:
    pairs share their songs, so that no more of them count than there are songs.
    """
    order = np.argsort(-np.abs(gaps), kind="stable")
    kept = np.arange(1, len(gaps) + 1)
    accuracies = np.cumsum(_right(gaps)[order]) / kept
    counted = np.minimum(kept, kept / len(gaps) * num_songs)
    enough = np.flatnonzero(
        accuracies - _ONE_SIDED * np.sqrt(accuracies * (1 - accuracies) / counted) > wanted_accuracy
    )
    return None if not len(enough) else _kept(gaps, float(np.abs(gaps)[order[enough[-1]]]))


def _kept(gaps: Array, gap: float) -> PairThreshold:
    kept = np.abs(gaps) >= gap
    return PairThreshold(gap, float(np.mean(_right(gaps[kept]))) if kept.any() else 0.0, float(np.mean(kept)))


def _agreement(preferences: Sequence[Preference], gaps: Array, seed: int) -> MeanInterval:
    """A mean over songs of what is right of the preferences that a song is in: songs are what is drawn again."""
    by_song: dict[str, list[float]] = {}
    for one, right in zip(preferences, _right(gaps).tolist(), strict=True):
        for song in _sides(one):
            by_song.setdefault(song, []).append(right)
    return bootstrap_mean(np.array([np.mean(values) for values in by_song.values()]), seed=seed)


def _one_rater(data: PreferenceData, preferences: Sequence[Preference]) -> float | None:
    """How often one rater of two songs, the same place in both lists, orders them as the others' means do."""
    right = []
    for one in preferences:
        better, worse = (np.array(data.ratings.get(song, ())) for song in _sides(one))
        if len(better) != len(worse) or len(better) < 2:
            continue
        others = (better.sum() - better) - (worse.sum() - worse)
        right += _right((better - worse) * np.sign(others))[others != 0].tolist()
    return float(np.mean(right)) if right else None

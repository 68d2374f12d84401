from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from levo.song.waveform import Waveform, mono_waveform
from reward.musicality.embedded import EmbeddedMusicality, RewardConfig, RewardNetwork, mean_logit
from reward.musicality.ranking import RankedSong, pair_agreement
from reward.musicality.training import FittedMusicality, MusicalityTraining, fit_musicality

NUM_TAUGHT = 40


def burst_versions(song: Any, seed: int) -> RankedSong:
    """The song, and it with two and with five bursts of noise."""
    rng = np.random.default_rng(seed)
    clean = song.stems.mixture.samples
    versions = [clean]
    for num_bursts in (2, 3):
        spoilt = versions[-1].copy()
        for start in rng.integers(spoilt.shape[1] - 3_200, size=num_bursts):
            spoilt[0, start : start + 3_200] = 0.1 * rng.standard_normal(3_200)
        versions.append(spoilt)
    return RankedSong(song.song_id, tuple(Waveform(version, 16_000) for version in versions))


@pytest.fixture(scope="module")
def ranked(songs: list[Any]) -> list[RankedSong]:
    return [burst_versions(song, seed) for seed, song in enumerate(songs)]


@pytest.fixture(scope="module")
def fitted(ranked: list[RankedSong]) -> FittedMusicality:
    return fit_musicality(ranked[:NUM_TAUGHT], seed=0, training=MusicalityTraining(num_steps=80, songs_per_batch=6))


def values(judge: EmbeddedMusicality, songs: tuple[Waveform, ...]) -> list[float]:
    return [score.value for score in judge.score(songs) if score.value is not None]


def test_unseen_songs_are_ordered_by_how_much_they_are_spoilt(
    fitted: FittedMusicality, ranked: list[RankedSong]
) -> None:
    unseen = [values(fitted.reward, song.versions) for song in ranked[NUM_TAUGHT:]]
    assert pair_agreement(unseen).accuracy >= 0.95
    assert fitted.kept_out.accuracy >= 0.9


def test_clean_songs_that_were_never_seen_lie_about_zero_and_spoilt_ones_well_below(
    fitted: FittedMusicality, ranked: list[RankedSong]
) -> None:
    rows = np.array([values(fitted.reward, song.versions) for song in ranked[NUM_TAUGHT:]])
    assert abs(rows[:, 0].mean()) < 1.5
    assert rows[:, 2].mean() < rows[:, 0].mean() - 1.0


def test_saved_and_loaded_it_scores_the_same_and_keeps_its_digest(
    fitted: FittedMusicality, ranked: list[RankedSong], tmp_path: Path
) -> None:
    fitted.reward.save(tmp_path / "judge")
    loaded = EmbeddedMusicality.load(tmp_path / "judge")
    assert loaded.digest == fitted.reward.digest
    assert loaded.score(ranked[0].versions) == fitted.reward.score(ranked[0].versions)


def test_a_songs_score_does_not_depend_on_its_neighbours(fitted: FittedMusicality, ranked: list[RankedSong]) -> None:
    together = fitted.reward.score(ranked[0].versions)
    assert together == [fitted.reward.score([version])[0] for version in ranked[0].versions]


class LengthNetwork(RewardNetwork):
    """Gives each song's number of frames as its logit."""

    def forward(self, spectrograms: torch.Tensor) -> torch.Tensor:
        return torch.full((spectrograms.shape[0],), float(spectrograms.shape[2]))


def test_a_long_song_is_judged_in_equal_stretches_that_are_averaged_over_where_they_begin() -> None:
    network = LengthNetwork(RewardConfig())
    starts = (0, 2, 4, 6)
    assert mean_logit(network, torch.zeros(76, 301), 6.0) == np.mean([301 - start for start in starts])
    assert mean_logit(network, torch.zeros(76, 700), 6.0) == pytest.approx(
        np.mean([(700 - start) / 3 for start in starts])
    )


def test_the_same_songs_and_seed_give_the_same_reward(ranked: list[RankedSong]) -> None:
    short = MusicalityTraining(num_steps=2)
    digests = [fit_musicality(ranked[:14], seed=seed, training=short).reward.digest for seed in (0, 0, 1)]
    assert digests[0] == digests[1] != digests[2]


def test_progress_is_told_of_every_step(ranked: list[RankedSong]) -> None:
    told: list[tuple[int, int]] = []
    training = MusicalityTraining(num_steps=3)
    fit_musicality(ranked[:14], seed=0, training=training, progress=lambda step, steps, _: told.append((step, steps)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_too_few_songs_uneven_versions_and_silence_are_refused_and_a_short_song_has_no_score(
    fitted: FittedMusicality, ranked: list[RankedSong]
) -> None:
    silent = mono_waveform(np.zeros(48_000, dtype=np.float32), 16_000)
    with pytest.raises(ValueError, match="4 songs leave 1 out"):
        fit_musicality(ranked[:4], seed=0)
    with pytest.raises(ValueError, match=r"\[2, 3\] versions"):
        fit_musicality([*ranked[:14], RankedSong("two", ranked[0].versions[:2])], seed=0)
    with pytest.raises(ValueError, match="song quiet has a version that cannot be heard: silent"):
        fit_musicality([RankedSong("quiet", (silent, silent))] * 14, seed=0)
    short = Waveform(ranked[0].versions[0].samples[:, :16_000].copy(), 16_000)
    assert fitted.reward.score([short])[0].missing == "too short: 1.00 s of 2 s"

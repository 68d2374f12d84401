"""A reward over embeddings learns what people prefer, and is honest where there is nothing to learn."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from levo.song.waveform import Waveform, mono_waveform
from reward.musicality.embedding_reward import EmbeddingReward, RewardFit
from reward.musicality.embedding_training import fit_reward
from reward.musicality.preferences import PreferenceData, read_preferences

RATE = 16000
Vectors = dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]


class Level:
    """A song's level and its first samples, as a vector of four."""

    digest = "level"

    def embed_song(self, song: Waveform) -> Tensor:
        if not song.samples.any():
            raise ValueError("silent")
        return torch.tensor([float(np.abs(song.samples).mean()), *song.samples[0, :3].tolist()])


def rated(tmp_path: Path, noise: float, num_songs: int = 300) -> tuple[PreferenceData, Vectors]:
    """Ten raters a song, whose points follow the first number of its vector."""
    generator = np.random.default_rng(0)
    vectors = {f"{number}.wav": generator.normal(size=4) for number in range(num_songs)}
    rows = []
    for song, vector in vectors.items():
        points = np.round(5 + 2 * vector[0] + noise * generator.normal(size=10))
        rows.append({"audio": song, "joy": points.tolist()})
    path = tmp_path / "people.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_preferences(path, "joy"), vectors


def test_it_learns_what_people_prefer_and_says_how_sure_people_are(tmp_path: Path) -> None:
    data, vectors = rated(tmp_path, noise=2.0)
    report = fit_reward(data, vectors, "level").report
    assert report.agreement.low > 0.8
    assert report.one_rater is not None
    assert 0.6 < report.one_rater < report.agreement.mean
    assert report.threshold is not None
    assert report.threshold.accuracy > 0.8


def test_where_there_is_nothing_to_learn_it_says_so(tmp_path: Path) -> None:
    data, _ = rated(tmp_path, noise=1.0)
    generator = np.random.default_rng(1)
    vectors = {song: generator.normal(size=4) for song in data.groups}
    report = fit_reward(data, vectors, "noise").report
    assert report.agreement.low < 0.5 < report.agreement.high + 0.05
    assert report.train_agreement > report.agreement.mean


def test_the_threshold_is_the_smallest_gap_that_is_right_often_enough(tmp_path: Path) -> None:
    data, vectors = rated(tmp_path, noise=4.0)
    reports = [fit_reward(data, vectors, "level", wanted_accuracy=share).report for share in (0.7, 0.8, 0.9)]
    kept = [report.threshold.kept_share for report in reports if report.threshold is not None]
    assert kept == sorted(kept, reverse=True)
    for report, share in zip(reports, (0.7, 0.8, 0.9), strict=True):
        assert report.threshold is None or report.threshold.accuracy > share
    assert fit_reward(data, vectors, "level", wanted_accuracy=1.0).report.threshold is None


def test_the_same_data_and_seed_give_the_same_reward(tmp_path: Path) -> None:
    data, vectors = rated(tmp_path, noise=1.0)
    one, same = (fit_reward(data, vectors, "level").head.stored().digest for _ in range(2))
    assert one == same
    assert fit_reward(data, vectors, "level", RewardFit(seed=1)).head.stored().digest != one


def test_a_reward_scores_as_it_was_saved_in_units_of_its_songs(tmp_path: Path) -> None:
    data, vectors = rated(tmp_path, noise=1.0)
    fitted = fit_reward(data, vectors, "level", RewardFit(hidden_size=0))
    taught = [song for song in data.groups if data.part(song).value == "train"]
    scores = fitted.head.scores(np.stack([vectors[song] for song in taught]))
    assert abs(float(scores.mean())) < 0.1
    assert float(scores.std()) == pytest.approx(1, abs=0.1)
    reward = EmbeddingReward(fitted.head, Level())
    reward.save(tmp_path / "reward")
    again = EmbeddingReward.load(tmp_path / "reward", Level())
    song = mono_waveform(np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32), RATE)
    silent = mono_waveform(np.zeros(RATE, np.float32), RATE)
    assert again.score([song, silent]) == reward.score([song, silent])
    assert again.score([silent])[0].missing == "silent"
    assert again.digest == reward.digest
    other = Level()
    other.digest = "other"
    with pytest.raises(ValueError, match="was fitted on vectors of level; these are other's"):
        EmbeddingReward.load(tmp_path / "reward", other)


def test_too_few_songs_are_refused(tmp_path: Path) -> None:
    data, vectors = rated(tmp_path, noise=1.0, num_songs=9)
    with pytest.raises(ValueError, match="more groups of songs are needed"):
        fit_reward(data, vectors, "level")


def test_real_raters_are_agreed_with_better_than_one_of_them_agrees_with_the_rest(
    shared_folder: Path, tmp_path: Path
) -> None:
    """Half of the raters' points are a song's vector; what the other half enjoy is learnt, and told on unseen songs."""
    axes = ("Production_Quality", "Production_Complexity", "Content_Enjoyment", "Content_Usefulness")
    rows = []
    for line in (shared_folder / "data" / "music_ratings.jsonl").read_text().splitlines():
        row = json.loads(line)
        vector = [point for axis in axes for point in row[axis][:5]]
        rows.append({"audio": row["data_path"], "embedding": vector, "joy": row["Content_Enjoyment"][5:]})
    path = tmp_path / "real.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = read_preferences(path, "joy")
    vectors = {song: np.array(vector) for song, vector in data.embeddings.items()}
    report = fit_reward(data, vectors, "raters").report
    assert report.one_rater is not None
    assert report.agreement.low > report.one_rater
    assert report.held_out is not None
    assert report.held_out.accuracy > 0.8

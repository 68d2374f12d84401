from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from levo.codec.stems import Stems
from levo.song.description import Description
from levo.song.waveform import mono_waveform
from reward.judges.tag_agreement import AttributeClouds, TagAgreementJudge, calibrate_tag_agreement

VOCABULARY = {
    "voice": ("male", "female"),
    "tempo": ("slow", "fast"),
    "instrument": ("plucked", "held"),
    "weather": ("sunny", "rainy"),
}
NUM_CALIBRATING = 40


@pytest.fixture(scope="module")
def judge(songs: list[Any]) -> TagAgreementJudge:
    known = songs[:NUM_CALIBRATING]
    return calibrate_tag_agreement([song.stems for song in known], [song.description for song in known], VOCABULARY)


def test_the_posterior_is_bayes_rule_over_normal_clouds() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    values, vectors = np.linalg.eigh(covariance)
    centres = np.array([[0.0, 0.0], [1.0, 2.0], [3.0, -1.0]])
    clouds = AttributeClouds(("a", "b", "c"), centres, vectors / np.sqrt(values))
    point = np.array([0.7, 0.4])
    densities = np.array([multivariate_normal.pdf(point, centre, covariance) for centre in centres])
    np.testing.assert_allclose(clouds.posterior(point), densities / densities.sum(), rtol=1e-9)


def test_unseen_songs_are_heard_as_they_are_described(judge: TagAgreementJudge, songs: list[Any]) -> None:
    unseen = songs[NUM_CALIBRATING:]
    right = [tag in judge.heard_tags(song.stems).values() for song in unseen for tag in song.description.tags]
    assert np.mean(right) > 0.95


def test_each_wrong_tag_takes_its_share_of_the_agreement(judge: TagAgreementJudge, songs: list[Any]) -> None:
    other = {"male": "female", "female": "male", "slow": "fast", "fast": "slow", "plucked": "held", "held": "plucked"}
    song = songs[NUM_CALIBRATING]
    tags = song.description.tags
    wrong = [
        Description(tuple(other[tag] if place < num else tag for place, tag in enumerate(tags))) for num in range(4)
    ]
    found = [agreement.score.value for agreement in judge.judge([song.stems] * 4, wrong)]
    assert found == pytest.approx([1, 2 / 3, 1 / 3, 0], abs=0.15)


def test_tags_without_a_formula_are_not_checked_and_none_at_all_is_missing(
    judge: TagAgreementJudge, songs: list[Any]
) -> None:
    song = songs[0]
    voice = song.description.tags[0]
    both, none = judge.judge([song.stems] * 2, [Description((voice, "sunny")), Description(("sunny",))])
    assert set(both.by_tag) == {voice}
    assert none.score.missing == "no checkable tag among ['sunny']"


def test_a_song_without_singing_is_judged_by_its_other_tags(judge: TagAgreementJudge, songs: list[Any]) -> None:
    song = songs[0]
    silence = mono_waveform(np.zeros(song.stems.vocal.num_samples, dtype=np.float32), 16_000)
    played = Stems(silence, song.stems.accompaniment, song.stems.accompaniment)
    (found,) = judge.judge([played], [song.description])
    assert set(found.by_tag) == set(song.description.tags[1:])


def test_saved_and_loaded_it_judges_the_same(judge: TagAgreementJudge, songs: list[Any], tmp_path: Path) -> None:
    judge.save(tmp_path / "judge")
    loaded = TagAgreementJudge.load(tmp_path / "judge")
    assert loaded.digest == judge.digest
    arguments = [songs[0].stems], [songs[0].description]
    assert loaded.judge(*arguments) == judge.judge(*arguments)


def test_a_tag_that_no_song_has_cannot_be_calibrated(songs: list[Any]) -> None:
    with pytest.raises(ValueError, match="'waltz' can be heard in 0 songs"):
        calibrate_tag_agreement(
            [song.stems for song in songs[:4]],
            [song.description for song in songs[:4]],
            {"tempo": ("waltz", "slow")},
        )

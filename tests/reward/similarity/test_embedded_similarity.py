from pathlib import Path
from typing import Any

import numpy as np
import pytest

from levo.song.description import Description
from levo.song.waveform import Waveform, mono_waveform
from reward.similarity.embedded import EmbeddedSimilarity
from reward.similarity.training import DescribedSong, SimilarityTraining, fit_similarity
from reward.similarity.vocabulary import vocabulary_of

VOCABULARY = vocabulary_of((("male", "female"), ("slow", "fast"), ("plucked", "held")))
NUM_TAUGHT = 44
OTHER = {"male": "female", "female": "male", "slow": "fast", "fast": "slow", "plucked": "held", "held": "plucked"}


def fitted(songs: list[Any], num_steps: int) -> EmbeddedSimilarity:
    taught = [DescribedSong(song.stems.mixture, song.description) for song in songs[:NUM_TAUGHT]]
    return fit_similarity(taught, VOCABULARY, seed=0, training=SimilarityTraining(num_steps=num_steps, batch_size=16))


@pytest.fixture(scope="module")
def judge(songs: list[Any]) -> EmbeddedSimilarity:
    return fitted(songs, 120)


def without_memory(judge: EmbeddedSimilarity) -> EmbeddedSimilarity:
    return EmbeddedSimilarity(judge.vocabulary, judge.music, judge.text)


def values(judge: EmbeddedSimilarity, songs: list[Waveform], descriptions: list[Description]) -> list[float]:
    scores = judge.similarity_to_text(songs, descriptions)
    return [score.value for score in scores if score.value is not None]


def with_wrong_tags(description: Description, num_wrong: int) -> Description:
    tags = description.tags
    return Description(tuple(OTHER[tag] if place < num_wrong else tag for place, tag in enumerate(tags)))


def test_on_unseen_songs_each_further_wrong_tag_lowers_the_cosine(judge: EmbeddedSimilarity, songs: list[Any]) -> None:
    unseen = songs[NUM_TAUGHT:]
    sounds = [song.stems.mixture for song in unseen]
    means = [
        np.mean(values(judge, sounds, [with_wrong_tags(song.description, wrong) for song in unseen]))
        for wrong in range(4)
    ]
    assert means[0] > 0.7
    assert means[0] - 0.2 > means[1] > means[2] > means[3]


def test_a_two_second_prompt_of_the_same_style_is_nearer_than_one_of_the_opposite(
    judge: EmbeddedSimilarity, songs: list[Any]
) -> None:
    unseen = songs[NUM_TAUGHT:]
    clips = [Waveform(song.stems.mixture.samples[:, :32_000].copy(), 16_000) for song in unseen]
    pairs = [
        (first, second)
        for first in range(len(unseen))
        for second in range(len(unseen))
        if first != second and unseen[first].description == unseen[second].description
    ]
    songs_of_pairs = [unseen[first].stems.mixture for first, _ in pairs]
    same = judge.similarity_to_audio(songs_of_pairs, [clips[second] for _, second in pairs])
    opposite = [with_wrong_tags(unseen[first].description, 3) for first, _ in pairs]
    others = [next((i for i, song in enumerate(unseen) if song.description == wanted), None) for wanted in opposite]
    known = [(place, other) for place, other in enumerate(others) if other is not None]
    different = judge.similarity_to_audio([songs_of_pairs[i] for i, _ in known], [clips[other] for _, other in known])
    assert len(pairs) >= 4
    assert len(known) >= 2
    assert min(score.value or -1 for score in same) > max(score.value or 1 for score in different)


def test_saved_and_loaded_it_scores_the_same_and_keeps_its_digest(
    judge: EmbeddedSimilarity, songs: list[Any], tmp_path: Path
) -> None:
    judge.save(tmp_path / "judge")
    loaded = EmbeddedSimilarity.load(tmp_path / "judge")
    sounds, texts = [songs[0].stems.mixture], [songs[0].description]
    assert loaded.digest == judge.digest
    assert loaded.similarity_to_text(sounds, texts) == judge.similarity_to_text(sounds, texts)


def test_the_same_songs_and_seed_give_the_same_towers_whatever_was_drawn_before(songs: list[Any]) -> None:
    first = fitted(songs, 2).digest
    np.random.default_rng().random()
    assert fitted(songs, 2).digest == first
    assert fitted(songs, 3).digest != first


def test_a_songs_score_does_not_depend_on_its_neighbours(judge: EmbeddedSimilarity, songs: list[Any]) -> None:
    sounds, texts = [song.stems.mixture for song in songs[:4]], [song.description for song in songs[:4]]
    alone = [
        without_memory(judge).similarity_to_text([one], [text])[0] for one, text in zip(sounds, texts, strict=True)
    ]
    assert without_memory(judge).similarity_to_text(sounds, texts) == alone


def test_a_sound_is_heard_once_however_often_it_is_asked_about(judge: EmbeddedSimilarity, songs: list[Any]) -> None:
    fresh, sounds = without_memory(judge), [song.stems.mixture for song in songs[:3]]
    passes: list[object] = []
    hook = fresh.music.register_forward_hook(lambda *_: passes.append(None))
    first = fresh.similarity_to_audio(sounds, [sounds[0]] * 3)
    fresh.similarity_to_text(sounds, [song.description for song in songs[:3]])
    copied = [Waveform(sound.samples.copy(), sound.sample_rate_hz) for sound in sounds]
    assert fresh.similarity_to_audio(copied, [copied[0]] * 3) == first
    hook.remove()
    assert len(passes) == 3


def test_what_cannot_be_judged_is_missing_with_its_reason(judge: EmbeddedSimilarity, songs: list[Any]) -> None:
    short = mono_waveform(np.ones(1_600, dtype=np.float32), 16_000)
    silent = mono_waveform(np.zeros(32_000, dtype=np.float32), 16_000)
    broken = mono_waveform(np.full(32_000, np.nan, dtype=np.float32), 16_000)
    good, text = songs[0].stems.mixture, songs[0].description
    scores = judge.similarity_to_text([short, silent, broken, good, good], [text] * 4 + [Description(("polka",))])
    assert [score.missing for score in scores] == [
        "too short: 0.10 s of 1 s",
        "silent",
        "samples are not finite",
        None,
        "no known tag among ['polka']",
    ]
    assert judge.similarity_to_audio([good], [short])[0].missing == "too short: 0.10 s of 1 s"
    with pytest.raises(ValueError, match="1 songs and 2 descriptions"):
        judge.similarity_to_text([good], [text, text])


def test_level_and_sample_rate_hardly_change_the_score(judge: EmbeddedSimilarity, songs: list[Any]) -> None:
    song, text = songs[NUM_TAUGHT].stems.mixture, songs[NUM_TAUGHT].description
    quiet = Waveform(song.samples * np.float32(0.2), 16_000)
    doubled = Waveform(np.repeat(song.samples, 2, axis=1), 32_000)
    plain, softer, faster = values(judge, [song, quiet, doubled], [text] * 3)
    assert softer == pytest.approx(plain, abs=1e-4)
    assert faster == pytest.approx(plain, abs=0.05)


def test_a_song_with_a_tag_outside_the_vocabulary_or_without_an_attribute_cannot_be_learned(songs: list[Any]) -> None:
    for tags in (("male", "slow"), ("male", "slow", "plucked", "loud"), ("male", "female", "slow", "held")):
        with pytest.raises(ValueError, match="expected one of each"):
            fit_similarity([DescribedSong(songs[0].stems.mixture, Description(tags))], VOCABULARY, seed=0)

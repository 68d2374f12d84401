"""The world's words, singers and tags are what the rest of the project counts on."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from levo.song.tokens import FRAME_RATE_HZ
from pipelines.rendered.espeak import speak
from pipelines.rendered.plan import draw_style
from pipelines.rendered.world import SINGERS, TAG_VOCABULARY, WORDS, Singer, Tempo, WorldConfig

_CMU_VOWELS = frozenset(["AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"])


def _cmu_dictionary() -> dict[str, list[str]]:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    path = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"
    entries = (line.split() for line in path.read_text().splitlines())
    return {entry[0]: entry[1:] for entry in entries if entry}


def _edit_distance(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    row = list(range(len(other) + 1))
    for i, left in enumerate(one):
        above, row = row, [i + 1]
        for j, right in enumerate(other):
            row.append(min(row[j] + 1, above[j + 1] + 1, above[j] + (left != right)))
    return row[-1]


def test_every_word_is_in_the_cmu_dictionary_with_one_syllable() -> None:
    dictionary = _cmu_dictionary()
    assert len(set(WORDS)) == 24
    assert [sum(phone in _CMU_VOWELS for phone in dictionary[word]) for word in WORDS] == [1] * 24


def test_any_two_words_are_two_phonemes_apart_for_every_singer() -> None:
    for singer in SINGERS:
        spoken = {word: tuple(item.phoneme for item in speak(word, singer.espeak_voice).phonemes) for word in WORDS}
        assert min(_edit_distance(spoken[a], spoken[b]) for a, b in itertools.combinations(WORDS, 2)) >= 2


def test_a_beat_is_a_whole_number_of_frames_and_the_tempo_follows_from_it() -> None:
    assert {tempo.value: tempo.frames_per_beat for tempo in Tempo} == {"slow": 12, "medium": 10, "fast": 8}
    assert Tempo.SLOW.bpm == pytest.approx(60 / (12 / FRAME_RATE_HZ))
    assert Tempo.FAST.bpm == 187.5


def test_a_description_has_one_tag_of_each_attribute_in_the_vocabularys_order() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        tags = draw_style(rng, WorldConfig()).description.tags
        for tag, options in zip(tags, TAG_VOCABULARY.values(), strict=True):
            assert tag in options


def test_the_singers_ranges_share_no_pitch() -> None:
    low, high = SINGERS
    assert low.highest_pitch < high.lowest_pitch


def test_a_singer_with_less_than_an_octave_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="mumbler"):
        WorldConfig(singers=(Singer("mumbler", "male", "en-us", 50, 55),))


def test_a_rate_that_does_not_divide_into_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="22051 Hz"):
        WorldConfig(sample_rate_hz=22051)

"""espeak-ng's words come with phonemes that cover them, and its absence is said clearly."""

import itertools
import sys

import numpy as np
import pytest

from annotation.phonemes.espeak_library import EspeakError
from pipelines.rendered.espeak import speak
from pipelines.rendered.world import SINGERS, WORDS, Singer


def test_phonemes_cover_the_word_from_its_start_to_its_end_without_gaps() -> None:
    for word in WORDS:
        spoken = speak(word, "en-us+f2")
        edges_s = [item.start_s for item in spoken.phonemes] + [spoken.phonemes[-1].end_s]
        assert edges_s[0] == 0
        assert [item.end_s for item in spoken.phonemes] == edges_s[1:]
        assert all(a < b for a, b in itertools.pairwise(edges_s))
        assert len(spoken.samples) == round(edges_s[-1] * spoken.sample_rate_hz)


def test_all_singers_pronounce_a_word_alike() -> None:
    for word in WORDS:
        said = {tuple(item.phoneme for item in speak(word, singer.espeak_voice).phonemes) for singer in SINGERS}
        assert len(said) == 1


@pytest.mark.parametrize("singer", SINGERS, ids=lambda singer: singer.name)
def test_a_word_sounds_the_same_whatever_was_said_before_it(singer: Singer) -> None:
    first = speak("moon", singer.espeak_voice)
    for word in ("dance", "sky"):
        speak(word, "en-us+f5")
    again = speak("moon", singer.espeak_voice)
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.phonemes == again.phonemes


def test_an_unknown_voice_is_named_in_the_error() -> None:
    with pytest.raises(EspeakError, match="nobody-at-all"):
        speak("moon", "nobody-at-all")


def test_a_text_without_sound_is_refused() -> None:
    with pytest.raises(EspeakError, match="' '"):
        speak(" ", "en-us")


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'levo\[demo\]'"):
        speak("moon", "en-us")

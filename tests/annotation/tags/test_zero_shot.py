"""Zero-shot tags with vectors written out: which tag is nearest, how sure it is, and when none is given."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from annotation.tags.protocol import NO_TAGS, Tags
from annotation.tags.tag_lists import EMOTION, GENDER, GENRE, INSTRUMENT, TAG_LISTS, TIMBRE, TagList
from annotation.tags.zero_shot import ZeroShotTagger
from levo.codec.stems import Stems
from levo.song.waveform import Waveform, mono_waveform

RATE = 16000
PLACES = {sentence: place for place, sentence in enumerate(text for one in TAG_LISTS for text in one.sentences)}


class Written:
    """Every sentence has a direction of its own; a song's vector is what the test says for its first sample."""

    digest = "written"

    def __init__(self, likings: dict[float, dict[str, float]]) -> None:
        self.likings = likings
        self.num_texts = 0

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        self.num_texts += len(texts)
        return torch.eye(len(PLACES))[[PLACES[text] for text in texts]]

    def embed_song(self, song: Waveform) -> Tensor:
        vector = torch.zeros(len(PLACES))
        for sentence, cosine in self.likings[round(float(song.samples[0, 0]), 3)].items():
            vector[PLACES[sentence]] = cosine
        return vector


def sound(level: float) -> Waveform:
    return mono_waveform(np.full(2 * RATE, level, np.float32), RATE)


def stems(vocal: float, mixture: float) -> Stems:
    return Stems(sound(vocal), sound(mixture - vocal), sound(mixture))


def sentence(tags: TagList, tag: str) -> str:
    return tags.prompt.format(tag=tag)


def by_lists(tags: Tags) -> tuple[str, ...]:
    """The tags that the embedder chose; a constant level has a pitch by accident."""
    return replace(tags, register=None).description_tags


def test_the_nearest_tag_of_each_list_is_given_with_its_probability() -> None:
    embedder = Written(
        {
            0.2: {sentence(GENDER, "male"): 0.5, sentence(TIMBRE, "warm"): 0.4},
            0.5: {
                sentence(GENRE, "jazz"): 0.4,
                sentence(EMOTION, "calm"): 0.4,
                sentence(INSTRUMENT, "piano"): 0.5,
                sentence(INSTRUMENT, "saxophone"): 0.48,
                sentence(INSTRUMENT, "drums"): 0.3,
            },
        }
    )
    tagger = ZeroShotTagger(embedder)
    tags = tagger.tag(stems(0.2, 0.5))
    assert by_lists(tags) == ("male", "warm", "jazz", "piano", "saxophone", "calm")
    assert tags.voice is not None
    assert tags.voice.confidence == pytest.approx(1 / (1 + math.exp(-20 * 0.5)))
    assert tags.genre is not None
    assert tags.genre.confidence == pytest.approx(math.exp(8) / (math.exp(8) + len(GENRE.tags) - 1), rel=1e-5)
    assert tags.more_instruments[0].confidence < tags.instrument.confidence if tags.instrument else False
    tagger.tag(stems(0.2, 0.5))
    assert embedder.num_texts == len(PLACES), "sentences are read once"


def test_a_list_without_a_likely_tag_stays_empty() -> None:
    embedder = Written({0.2: {}, 0.5: {sentence(GENRE, "rock"): 0.4}})
    assert by_lists(ZeroShotTagger(embedder).tag(stems(0.2, 0.5))) == ("rock",)
    assert ZeroShotTagger(embedder, min_lift=0).tag(stems(0.2, 0.5)).voice is not None


def test_silence_has_no_tags_and_a_silent_vocal_no_voice() -> None:
    likings = {0.0: {sentence(GENDER, "male"): 1.0}, 0.5: {sentence(GENRE, "rock"): 0.4}}
    tagger = ZeroShotTagger(Written(likings))
    assert tagger.tag(stems(0.0, 0.0)) == NO_TAGS
    assert tagger.tag(stems(0.0, 0.5)).description_tags == ("rock",)


def test_a_beat_has_its_tempo() -> None:
    time_s = np.arange(8 * RATE) / RATE
    beat = (np.sin(2 * np.pi * 90 * time_s) * np.exp(-30 * (time_s % 0.5))).astype(np.float32)
    beat[0] = 0.125
    played, silent = mono_waveform(beat, RATE), mono_waveform(np.zeros(8 * RATE, np.float32), RATE)
    song = Stems(silent, played, played)
    tags = ZeroShotTagger(Written({0.125: {}})).tag(song)
    assert tags.tempo_bpm == pytest.approx(120, rel=0.04)
    assert tags.register is None
    assert tags.description_tags == (f"the bpm is {round(tags.tempo_bpm or 0)}",)


@pytest.mark.parametrize(("pitch_hz", "register"), [(110, "low"), (220, "middle"), (440, "high")])
def test_a_voice_has_its_register(pitch_hz: float, register: str) -> None:
    time_s = np.arange(3 * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * pitch_hz * harmonic * time_s) / harmonic for harmonic in range(1, 6)) / 5
    sung = mono_waveform(np.asarray(voice, np.float32), RATE)
    sung.samples[0, 0] = 0.125
    tags = ZeroShotTagger(Written({0.125: {}})).tag(Stems(sung, sound(0.0), sung))
    assert tags.description_tags[:1] == (f"{register} register",)


def test_lists_and_settings_change_the_digest_and_bad_ones_are_refused() -> None:
    embedder = Written({})
    digests = {
        ZeroShotTagger(embedder).digest,
        ZeroShotTagger(embedder, scale=10).digest,
        ZeroShotTagger(embedder, (replace(GENRE, max_tags=2),)).digest,
    }
    assert len(digests) == 3
    with pytest.raises(ValueError, match="scale is 0"):
        ZeroShotTagger(embedder, scale=0)
    with pytest.raises(ValueError, match="expected two or more, each once"):
        TagList("x", "{tag}", ("a", "a"))
    with pytest.raises(ValueError, match=r"expected one with \{tag\} in it"):
        TagList("x", "tag", ("a", "b"))

"""Tokenizer folders built from a corpus' words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levo.model.conditions import Conditions
from levo.model.config import demo_config
from levo.model.tokenizer import ConditionEncoder, ConditionError, build_tokenizer, read_vocabulary
from levo.song.tokens import TokenGrid

WORDS = ("sun", "sunset", "moon", "rain", "wind", "winter", "été", "don't")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(WORDS, path)
    return path


@pytest.fixture
def encoder(folder: Path) -> ConditionEncoder:
    return ConditionEncoder(folder, demo_config(read_vocabulary(folder)))


@pytest.mark.parametrize("word", ["sun", "sunset", "moon", "rain", "wind", "winter", "été"])
def test_every_word_with_its_space_is_one_token(word: str, encoder: ConditionEncoder) -> None:
    before, after = encoder.lyrics_ids("[verse]"), encoder.lyrics_ids(f"[verse] {word}.")
    assert len(after) == len(before) + 2
    assert after[: len(before)] == before


def test_the_folder_is_the_same_for_words_in_any_order(tmp_path: Path) -> None:
    for name, words in (("a", WORDS), ("b", (*reversed(WORDS), WORDS[0]))):
        build_tokenizer(words, tmp_path / name)
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_the_thirteen_tags_follow_the_special_tokens(folder: Path, encoder: ConditionEncoder) -> None:
    vocabulary = read_vocabulary(folder)
    assert (vocabulary.start_id, vocabulary.first_structure_id) == (
        vocabulary.padding_id + 1,
        vocabulary.padding_id + 3,
    )
    assert vocabulary.lyrics_size == vocabulary.first_structure_id + 13
    assert vocabulary.description_size == vocabulary.first_structure_id + 6
    assert encoder.lyrics_ids("[silence]") == [vocabulary.start_id, vocabulary.first_structure_id + 12]
    assert encoder.description_ids("[Pure-Music]") == [vocabulary.start_id, vocabulary.first_structure_id + 5]


def test_text_that_is_too_long_is_refused_or_cut(encoder: ConditionEncoder) -> None:
    song = Conditions(lyrics="[verse]" + " sun" * 200)
    with pytest.raises(ConditionError, match="lyrics of song 0 has 202 tokens; the model takes 160"):
        encoder.encode([song])
    assert encoder.encode([song], cut=True).lyrics_ids.shape == (1, 160)


def test_reserved_tokens_and_foreign_codes_are_refused(encoder: ConditionEncoder) -> None:
    with pytest.raises(ConditionError, match="reserved token"):
        encoder.encode([Conditions(lyrics="[verse] <|endoftext|>")])
    with pytest.raises(ConditionError, match="codes from 0 to 9999"):
        encoder.encode([Conditions(audio_prompt=TokenGrid(np.array([[0, 9999]] * 3, dtype=np.int32)))])


def test_a_tokenizer_of_another_size_is_refused(folder: Path, encoder: ConditionEncoder) -> None:
    with pytest.raises(ConditionError, match="the model has 7 and"):
        ConditionEncoder(folder, replace(encoder.config, lyrics_vocabulary_size=7))

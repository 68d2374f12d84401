from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from levo.model.conditions import Conditions
from levo.model.store import load_model
from levo.model.tokenizer import ConditionError
from levo.song.tokens import TokenGrid
from levo.training.encoded import encoded_conditions
from levo.training.examples import ExampleStore, TrainingExample, write_examples


def test_cached_ids_are_those_of_the_encoder(song_store: ExampleStore, tiny_model: Path, tmp_path: Path) -> None:
    encoder = load_model(tiny_model).encoder
    rows = np.array([5, 0, 3, 3])
    songs = [song_store[int(row)] for row in rows]
    expected = encoder.encode(
        [
            Conditions(
                song.lyrics,
                song.description,
                None if song.audio_prompt is None else TokenGrid(song.audio_prompt),
            )
            for song in songs
        ]
    )
    for _ in ("encoded", "read again"):
        tokens = encoded_conditions(song_store, tiny_model, tmp_path / "cache").rows(rows)
        assert torch.equal(tokens.lyrics_ids, expected.lyrics_ids)
        assert torch.equal(tokens.description_ids, expected.description_ids)
        assert torch.equal(tokens.prompt_codes, expected.prompt_codes)


def test_lyrics_that_the_model_cannot_take_are_refused_before_training(
    tmp_path: Path, tiny_model: Path, make_song: Callable[[int], TrainingExample]
) -> None:
    long = replace(make_song(0), lyrics=f"[verse] {'sun ' * 40}.")
    store = write_examples([make_song(1), long], tmp_path / "songs")
    with pytest.raises(ConditionError, match="the model takes 16"):
        encoded_conditions(store, tiny_model, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []

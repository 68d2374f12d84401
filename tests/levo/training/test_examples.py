from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levo.training.examples import ExampleStore, TrainingExample, write_examples

MakeSong = Callable[[int], TrainingExample]


def test_a_store_gives_back_what_was_written(tmp_path: Path, make_song: MakeSong) -> None:
    songs = [make_song(number) for number in range(5)]
    songs[2] = replace(songs[2], lyrics=None, description=None, ended=False)
    store = write_examples(songs, tmp_path / "songs")
    assert len(store) == 5
    for index, song in enumerate(songs):
        read = ExampleStore(tmp_path / "songs")[index]
        assert (read.example_id, read.lyrics, read.description, read.ended) == (
            song.example_id,
            song.lyrics,
            song.description,
            song.ended,
        )
        np.testing.assert_array_equal(read.codes, song.codes)
        assert (read.audio_prompt is None) == (song.audio_prompt is None)
        if song.audio_prompt is not None:
            np.testing.assert_array_equal(read.audio_prompt, song.audio_prompt)
        assert read.digest == song.digest == store.digests[index]


def test_a_store_stays_on_disk_until_it_is_read(tmp_path: Path, make_song: MakeSong) -> None:
    store = write_examples([make_song(0)], tmp_path / "songs")
    assert isinstance(store._codes, np.memmap)


def test_the_digest_is_of_the_content_and_not_of_the_names(tmp_path: Path, make_song: MakeSong) -> None:
    songs = [make_song(number) for number in range(3)]
    digest = write_examples(songs, tmp_path / "first").digest
    renamed = [replace(song, example_id=f"other-{number}") for number, song in enumerate(songs)]
    assert write_examples(renamed, tmp_path / "renamed").digest == digest
    changed = [*songs[:2], replace(songs[2], lyrics="[verse] sun.")]
    assert write_examples(changed, tmp_path / "changed").digest != digest
    assert write_examples(songs[::-1], tmp_path / "turned").digest != digest
    cut = [*songs[:2], replace(songs[2], ended=False)]
    assert write_examples(cut, tmp_path / "cut").digest != digest


def test_nothing_is_left_of_a_store_that_could_not_be_written(tmp_path: Path, make_song: MakeSong) -> None:
    broken = replace(make_song(0), lyrics=7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="lyrics"):
        write_examples([make_song(1), broken], tmp_path / "songs")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_store_is_not_written_over(tmp_path: Path, make_song: MakeSong) -> None:
    digest = write_examples([make_song(0)], tmp_path / "songs").digest
    with pytest.raises(FileExistsError):
        write_examples([make_song(1)], tmp_path / "songs")
    assert ExampleStore(tmp_path / "songs").digest == digest


def test_codes_of_another_shape_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"example odd: codes have shape \(2, 4\); expected \[3, frames > 0\]"):
        TrainingExample("odd", np.zeros((2, 4), np.int32), None, None)


def test_a_folder_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no training examples"):
        ExampleStore(tmp_path)

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levo.alignment.pairs import PairExample, PairStore, write_pairs, write_union
from levo.training.examples import TrainingExample

MakeSong = Callable[[int], TrainingExample]


def _pair(make_song: MakeSong, asked: int, chosen: int, rejected: int) -> PairExample:
    prompt = make_song(asked)
    return PairExample(
        pair_id=f"{asked}:{chosen}>{rejected}",
        lyrics=prompt.lyrics,
        description=prompt.description,
        audio_prompt=prompt.audio_prompt,
        chosen=make_song(chosen).codes,
        rejected=make_song(rejected).codes,
        rejected_ended=rejected % 2 == 0,
    )


def test_a_store_gives_back_its_pairs_and_keeps_each_song_once(tmp_path: Path, make_song: MakeSong) -> None:
    pairs = [_pair(make_song, 1, 2, 3), _pair(make_song, 1, 4, 2), _pair(make_song, 1, 4, 3)]
    store = write_pairs(pairs, tmp_path / "pairs")
    assert len(store) == 3
    assert len(store.songs) == 3
    for index, pair in enumerate(pairs):
        read = PairStore(tmp_path / "pairs")[index]
        assert (read.pair_id, read.lyrics, read.description) == (pair.pair_id, pair.lyrics, pair.description)
        assert (read.chosen_ended, read.rejected_ended) == (pair.chosen_ended, pair.rejected_ended)
        np.testing.assert_array_equal(read.chosen, pair.chosen)
        np.testing.assert_array_equal(read.rejected, pair.rejected)
        assert store.num_frames[index] == max(pair.chosen.shape[1], pair.rejected.shape[1])


def test_the_same_songs_asked_for_otherwise_are_other_songs(tmp_path: Path, make_song: MakeSong) -> None:
    store = write_pairs([_pair(make_song, 1, 2, 3), _pair(make_song, 5, 2, 3)], tmp_path / "pairs")
    assert len(store.songs) == 4


def test_the_union_holds_all_pairs_in_order(tmp_path: Path, make_song: MakeSong) -> None:
    first = write_pairs([_pair(make_song, 1, 2, 3)], tmp_path / "first")
    second = write_pairs([_pair(make_song, 1, 2, 4), _pair(make_song, 7, 2, 3)], tmp_path / "second")
    union = write_union([first, second], tmp_path / "union")
    assert [union[index].pair_id for index in range(3)] == ["1:2>3", "1:2>4", "7:2>3"]
    assert len(union.songs) == 5


def test_turning_a_pair_round_is_other_data(tmp_path: Path, make_song: MakeSong) -> None:
    pair = replace(_pair(make_song, 1, 2, 4))
    turned = replace(pair, chosen=pair.rejected, rejected=pair.chosen)
    digests = {write_pairs([each], tmp_path / str(name)).digest for name, each in enumerate((pair, turned))}
    assert len(digests) == 2


def test_a_song_is_not_preferred_to_itself(tmp_path: Path, make_song: MakeSong) -> None:
    pair = _pair(make_song, 1, 2, 2)
    with pytest.raises(ValueError, match="pair 1:2>2 prefers a song to itself"):
        write_pairs([pair], tmp_path / "pairs")
    assert list(tmp_path.iterdir()) == []

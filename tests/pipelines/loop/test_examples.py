"""Training examples: whose sound a prompt is, and that nothing depends on the order of songs."""

import numpy as np
import pytest

from levo.song.description import Description, MusicalityTier
from pipelines.loop.examples import TokenizedSong, evenly_chosen, training_examples

_FRAMES = 50


def song(name: str, singer: str, tags: tuple[str, ...], collection: str = "studio", frames: int = 120) -> TokenizedSong:
    place = int(name)
    codes = np.full((3, frames), place, dtype=np.int32) + np.arange(frames, dtype=np.int32)[None] * 100
    return TokenizedSong(name, collection, singer, "[verse] moon.", Description(tags, MusicalityTier.HIGH), codes)


SONGS = [song(str(place), "high" if place % 2 else "low", (("dark", "bright")[place % 3 == 0],)) for place in range(24)]


def test_a_prompt_is_a_stretch_of_another_song_of_the_same_singer_and_style() -> None:
    by_name = {one.song_id: one for one in SONGS}
    for example in training_examples(SONGS, ["studio"], _FRAMES, seed=0):
        assert example.audio_prompt is not None
        other = by_name[str(int(example.audio_prompt[0, 0]) % 100)]
        own = by_name[example.example_id]
        assert other.song_id != own.song_id
        assert (other.singer, other.description.tags) == (own.singer, own.description.tags)
        start = int(example.audio_prompt[0, 0]) // 100
        np.testing.assert_array_equal(example.audio_prompt, other.codes[:, start : start + _FRAMES])


def test_a_song_that_no_other_is_like_has_no_prompt() -> None:
    alone = [song("0", "high", ("dark",)), song("1", "high", ("bright",))]
    assert [one.audio_prompt for one in training_examples(alone, ["studio"], _FRAMES, seed=0)] == [None, None]


def test_only_the_named_collections_are_trained_on() -> None:
    songs = [song("0", "high", ()), song("1", "high", (), "wild")]
    assert [one.example_id for one in training_examples(songs, ["wild"], _FRAMES, seed=0)] == ["1"]


def test_an_even_choice_has_as_many_songs_of_each_collection_as_the_smallest_has() -> None:
    songs = [song(str(place), "high", (), "wild" if place < 5 else "studio") for place in range(24)]
    chosen = evenly_chosen(songs, ["studio", "wild"], seed=0)
    assert [one.collection for one in songs if one.song_id in chosen].count("wild") == 5
    assert len(chosen) == 10
    assert evenly_chosen(songs[::-1], ["studio", "wild"], seed=0) == chosen
    assert evenly_chosen(songs, ["studio", "wild"], seed=1) != chosen


def test_some_songs_show_their_tier_and_some_do_not() -> None:
    shown = [MusicalityTier.HIGH.token in (one.description or "") for one in training_examples(SONGS, ["studio"], 9, 0)]
    assert 0 < sum(shown) < len(shown)


@pytest.mark.parametrize("seed", [0, 1])
def test_an_example_depends_on_its_seed_and_songs_alone(seed: int) -> None:
    once = training_examples(SONGS, ["studio"], _FRAMES, seed)
    again = training_examples(SONGS, ["studio"], _FRAMES, seed)
    assert [one.digest for one in once] == [one.digest for one in again]

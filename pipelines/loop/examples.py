"""Training examples from a labelled corpus: a song's tokens, its conditions, and two seconds of a song like it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int32

from levo.song.arrays import Array
from levo.song.description import Description
from levo.song.digest import digest_bytes
from levo.training.examples import TrainingExample


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedSong:
    """A corpus song as training sees it: tokens and labels, whoever gave them, and nothing of the truth."""

    song_id: str
    collection: str
    singer: str
    lyrics: str | None
    description: Description
    codes: Int32[Array, "stream frame"]


def training_examples(
    songs: Sequence[TokenizedSong], collections: Sequence[str], num_prompt_frames: int, seed: int
) -> list[TrainingExample]:
    """One example a song of the named collections, in the songs' order.

    The audio prompt is cut from another song with the same singer and the same tags, wherever in it a hash of the
    song's id and the seed points; where no such song exists there is no prompt. Every second song, by the same hash,
    is described without its musicality tier, so that the model knows both ways of asking.
    """
    alike = _alike(songs)
    return [
        TrainingExample(
            example_id=song.song_id,
            codes=song.codes,
            lyrics=song.lyrics,
            description=_described(song, seed).text,
            audio_prompt=_audio_prompt(song, alike, num_prompt_frames, seed),
        )
        for song in songs
        if song.collection in collections
    ]


def evenly_chosen(songs: Sequence[TokenizedSong], collections: Sequence[str], seed: int) -> frozenset[str]:
    """Ids of as many songs of each named collection as the smallest has, chosen by a hash of id and seed.

    A collection without songs is not counted.
    """
    parts = [part for name in collections if (part := [song for song in songs if song.collection == name])]
    smallest = min((len(part) for part in parts), default=0)
    return frozenset(
        song.song_id for part in parts for song in sorted(part, key=lambda song: _song_seed(song, seed))[:smallest]
    )


def beginning(example: TrainingExample, max_frames: int) -> TrainingExample:
    """A song's first frames under all of its conditions; one that is cut has no end."""
    if example.codes.shape[1] <= max_frames:
        return example
    return replace(example, codes=np.ascontiguousarray(example.codes[:, :max_frames]), ended=False)


def _described(song: TokenizedSong, seed: int) -> Description:
    shows_tier = _song_seed(song, seed) % 2 == 0
    return song.description if shows_tier else replace(song.description, tier=None)


def _song_seed(song: TokenizedSong, seed: int) -> int:
    return int(digest_bytes(song.song_id.encode(), str(seed).encode()), 16)


def _alike(songs: Sequence[TokenizedSong]) -> Mapping[tuple[str, tuple[str, ...]], list[TokenizedSong]]:
    groups: dict[tuple[str, tuple[str, ...]], list[TokenizedSong]] = defaultdict(list)
    for song in songs:
        groups[song.singer, song.description.tags].append(song)
    return groups


def _audio_prompt(
    song: TokenizedSong,
    alike: Mapping[tuple[str, tuple[str, ...]], list[TokenizedSong]],
    num_frames: int,
    seed: int,
) -> Int32[Array, "stream frame"] | None:
    others = [
        other
        for other in alike[song.singer, song.description.tags]
        if other.song_id != song.song_id and other.codes.shape[1] >= num_frames
    ]
    if not others:
        return None
    rng = np.random.default_rng(_song_seed(song, seed))
    other = others[int(rng.integers(len(others)))]
    start = int(rng.integers(other.codes.shape[1] - num_frames + 1))
    return np.ascontiguousarray(other.codes[:, start : start + num_frames])

"""Preference pairs to train on: two songs under the same conditions, of which the first is better."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int32, Int64

from levo.song.arrays import Array
from levo.song.digest import digest_bytes
from levo.song.files import staged_folder, write_json
from levo.training.examples import ExampleStore, TrainingExample, write_examples
from levo.training.record_files import mapped_table, write_records

_SONGS, _TABLE, _SUMMARY = "songs", "pairs.arrow", "store.json"


@dataclass(frozen=True, slots=True, eq=False)
class PairExample:
    """One preference: what was asked for, the better answer and the worse one; each may have been cut at its end."""

    pair_id: str
    lyrics: str | None
    description: str | None
    audio_prompt: Int32[Array, "stream prompt_frame"] | None
    chosen: Int32[Array, "stream chosen_frame"]
    rejected: Int32[Array, "stream rejected_frame"]
    chosen_ended: bool = True
    rejected_ended: bool = True

    @property
    def chosen_song(self) -> TrainingExample:
        """The better song as an example."""
        return self._song("chosen", self.chosen, self.chosen_ended)

    @property
    def rejected_song(self) -> TrainingExample:
        """The worse song as an example."""
        return self._song("rejected", self.rejected, self.rejected_ended)

    def _song(self, side: str, codes: Int32[Array, "stream frame"], ended: bool) -> TrainingExample:
        return TrainingExample(f"{self.pair_id}/{side}", codes, self.lyrics, self.description, self.audio_prompt, ended)


@dataclass(frozen=True, slots=True)
class _Row:
    """One pair, as indices into the store of its songs."""

    pair_id: str
    chosen: int
    rejected: int


def write_pairs(pairs: Iterable[PairExample], folder: Path) -> "PairStore":
    """Write a store, each distinct song once; the folder appears whole or not at all.

    Raises ValueError for a pair of equal songs, FileExistsError where there is a store already.
    """
    songs: dict[str, TrainingExample] = {}
    places: dict[str, int] = {}
    rows: list[_Row] = []
    for pair in pairs:
        chosen, rejected = pair.chosen_song, pair.rejected_song
        sides = [places.setdefault(song.digest, len(places)) for song in (chosen, rejected)]
        songs |= {song.digest: song for song in (chosen, rejected) if song.digest not in songs}
        if sides[0] == sides[1]:
            raise ValueError(f"pair {pair.pair_id} prefers a song to itself; expected two different songs")
        rows.append(_Row(pair.pair_id, *sides))
    if not rows:
        raise ValueError(f"no pairs to write to {folder}; expected at least one")
    digests = list(songs)
    digest = digest_bytes(*(f"{digests[row.chosen]}>{digests[row.rejected]}".encode() for row in rows))
    with staged_folder(folder) as staging:
        write_examples(songs.values(), staging / _SONGS)
        write_records(staging / _TABLE, rows, _Row)
        write_json(staging / _SUMMARY, {"num_pairs": len(rows), "digest": digest})
    return PairStore(folder)


def write_union(stores: Iterable["PairStore"], folder: Path) -> "PairStore":
    """Mixed training's data: the pairs of several preferences in one store, in the stores' order."""
    return write_pairs((store[index] for store in stores for index in range(len(store))), folder)


class PairStore:
    """A folder of preference pairs over a store of songs."""

    def __init__(self, folder: Path) -> None:
        """Open what `write_pairs` wrote. Raises FileNotFoundError where there is no store."""
        if not (folder / _TABLE).is_file():
            raise FileNotFoundError(f"{folder} holds no preference pairs; expected {_TABLE} in it")
        summary = json.loads((folder / _SUMMARY).read_text())
        self.folder = folder
        self.digest: str = summary["digest"]
        self.songs = ExampleStore(folder / _SONGS)
        self._table = mapped_table(folder / _TABLE)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @cached_property
    def chosen(self) -> Int64[Array, " pair"]:
        """Index of each pair's better song in `songs`."""
        return np.asarray(self._table["chosen"].to_numpy(), np.int64)

    @cached_property
    def rejected(self) -> Int64[Array, " pair"]:
        """Index of each pair's worse song in `songs`."""
        return np.asarray(self._table["rejected"].to_numpy(), np.int64)

    @cached_property
    def num_frames(self) -> Int64[Array, " pair"]:
        """Length of the longer song of each pair in token frames."""
        return np.maximum(self.songs.num_frames[self.chosen], self.songs.num_frames[self.rejected])

    def __getitem__(self, index: int) -> PairExample:
        chosen, rejected = self.songs[int(self.chosen[index])], self.songs[int(self.rejected[index])]
        return PairExample(
            pair_id=str(self._table["pair_id"][index].as_py()),
            lyrics=chosen.lyrics,
            description=chosen.description,
            audio_prompt=chosen.audio_prompt,
            chosen=chosen.codes,
            rejected=rejected.codes,
            chosen_ended=chosen.ended,
            rejected_ended=rejected.ended,
        )

"""Songs to train on: their tokens and conditions, in a folder that is read without loading it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int32, Int64

from levo.song.arrays import Array
from levo.song.digest import canonical_json, digest_arrays, digest_bytes
from levo.song.files import staged_folder, write_json
from levo.song.schema import records_of
from levo.song.tokens import NUM_STREAMS
from levo.training.record_files import mapped_table, write_records

_CODES, _PROMPTS, _TABLE, _SUMMARY = "codes.npy", "audio_prompts.npy", "examples.arrow", "store.json"


@dataclass(frozen=True, slots=True, eq=False)
class TrainingExample:
    """One song and what it is asked for with.

    `codes` carry no end token: it is added in the batch where `ended` is true. `audio_prompt` holds codes of another
    song of the same singer and style; None, like an empty text, means that the condition is absent.
    """

    example_id: str
    codes: Int32[Array, "stream frame"]
    lyrics: str | None
    description: str | None
    audio_prompt: Int32[Array, "stream prompt_frame"] | None = None
    ended: bool = True

    def __post_init__(self) -> None:
        for name, codes in (("codes", self.codes), ("audio_prompt", self.audio_prompt)):
            if codes is not None and (codes.ndim != 2 or codes.shape[0] != NUM_STREAMS or codes.shape[1] == 0):
                raise ValueError(
                    f"example {self.example_id}: {name} have shape {codes.shape}; expected [{NUM_STREAMS}, frames > 0]"
                )

    @property
    def digest(self) -> str:
        """SHA-256 over everything but the name: equal songs under equal conditions have equal digests."""
        arrays = [self.codes] if self.audio_prompt is None else [self.codes, self.audio_prompt]
        texts = canonical_json([self.lyrics, self.description, self.ended])
        return digest_bytes(texts.encode(), digest_arrays(array.astype(np.int32) for array in arrays).encode())


@dataclass(frozen=True, slots=True)
class _Row:
    """One example's texts, and where its codes and its prompt's lie in the two arrays."""

    example_id: str
    digest: str
    lyrics: str | None
    description: str | None
    ended: bool
    start_frame: int
    num_frames: int
    prompt_start_frame: int
    num_prompt_frames: int


def write_examples(examples: Iterable[TrainingExample], folder: Path) -> "ExampleStore":
    """Write a store; the folder appears whole or not at all. Raises FileExistsError where there is one already."""
    songs = list(examples)
    if not songs:
        raise ValueError(f"no examples to write to {folder}; expected at least one")
    rows = _rows(songs)
    empty = np.zeros((NUM_STREAMS, 0), np.int32)
    prompts = [song.audio_prompt for song in songs if song.audio_prompt is not None]
    with staged_folder(folder) as staging:
        np.save(staging / _CODES, np.concatenate([song.codes for song in songs], axis=1).astype(np.int32))
        np.save(staging / _PROMPTS, np.concatenate([empty, *prompts], axis=1).astype(np.int32))
        write_records(staging / _TABLE, rows, _Row)
        digest = digest_bytes(*(row.digest.encode() for row in rows))
        write_json(staging / _SUMMARY, {"num_examples": len(songs), "digest": digest})
    return ExampleStore(folder)


def _rows(songs: list[TrainingExample]) -> list[_Row]:
    rows, start, prompt_start = [], 0, 0
    for song in songs:
        num_frames = song.codes.shape[1]
        num_prompt_frames = 0 if song.audio_prompt is None else song.audio_prompt.shape[1]
        rows.append(
            _Row(
                example_id=song.example_id,
                digest=song.digest,
                lyrics=song.lyrics,
                description=song.description,
                ended=song.ended,
                start_frame=start,
                num_frames=num_frames,
                prompt_start_frame=prompt_start,
                num_prompt_frames=num_prompt_frames,
            )
        )
        start, prompt_start = start + num_frames, prompt_start + num_prompt_frames
    return rows


class ExampleStore:
    """A folder of training examples; tokens and texts are mapped into memory and read where they are asked for."""

    def __init__(self, folder: Path) -> None:
        """Open what `write_examples` wrote. Raises FileNotFoundError where there is no store."""
        if not (folder / _SUMMARY).is_file():
            raise FileNotFoundError(f"{folder} holds no training examples; expected {_SUMMARY} in it")
        summary = json.loads((folder / _SUMMARY).read_text())
        self.folder = folder
        self.digest: str = summary["digest"]
        self._num_examples: int = summary["num_examples"]
        self._codes = np.load(folder / _CODES, mmap_mode="r")
        self._prompts = np.load(folder / _PROMPTS, mmap_mode="r")
        self._table = mapped_table(folder / _TABLE)

    def __len__(self) -> int:
        return self._num_examples

    @cached_property
    def num_frames(self) -> Int64[Array, " example"]:
        """Length of each example in token frames."""
        return np.asarray(self._table["num_frames"].to_numpy(), np.int64)

    @cached_property
    def example_ids(self) -> tuple[str, ...]:
        """Each example's id."""
        return tuple(str(name) for name in self._table["example_id"].to_pylist())

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Each example's digest."""
        return tuple(str(digest) for digest in self._table["digest"].to_pylist())

    def __getitem__(self, index: int) -> TrainingExample:
        if not 0 <= index < len(self):
            raise IndexError(f"example {index} of {len(self)} in {self.folder}")
        row = records_of(self._table.slice(index, 1), _Row)[0]
        prompt = self._prompts[:, row.prompt_start_frame : row.prompt_start_frame + row.num_prompt_frames]
        return TrainingExample(
            example_id=row.example_id,
            codes=self.codes(index),
            lyrics=row.lyrics,
            description=row.description,
            audio_prompt=np.array(prompt) if row.num_prompt_frames else None,
            ended=row.ended,
        )

    def codes(self, index: int) -> Int32[Array, "stream frame"]:
        """The tokens of one example alone."""
        start = self._start_frames[index]
        return np.array(self._codes[:, start : start + self.num_frames[index]])

    @cached_property
    def ended(self) -> tuple[bool, ...]:
        """Whether each song came to its end, or was cut."""
        return tuple(bool(ended) for ended in self._table["ended"].to_pylist())

    @cached_property
    def _start_frames(self) -> Int64[Array, " example"]:
        return np.asarray(self._table["start_frame"].to_numpy(), np.int64)

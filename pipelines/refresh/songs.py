"""Songs of a model for some prompts, sampled and scored a few prompts at a time, so that a kill loses one chunk."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from levo.model.sampling.request import SamplingParameters
from levo.model.store import model_digest
from levo.song.digest import digest_json
from levo.song.files import write_atomically
from levo.song.schema import records_of, records_of_structs, struct_array_of, table_of
from pipelines.flow.stage import Refusal
from pipelines.loop.records import CandidateRow, PromptRow, ScoredRow
from pipelines.loop.sampling import Sampler, sample_candidates
from pipelines.refresh.hands import Hands, Scorer, ScoringPipeline

Thing = TypeVar("Thing")
Outcome = ScoredRow | Refusal
Progress = Callable[[int, int], None]
CANDIDATES, SCORES = "candidates.parquet", "scores.parquet"
_RECORD, _REFUSAL = "record", "refusal"


@dataclass(frozen=True, slots=True)
class SongRequest:
    """Whose songs, for which prompts, how many each, and the seed and label that make them songs of their own."""

    model: Path
    prompts: tuple[PromptRow, ...]
    songs_per_prompt: int
    seed: int
    label: str
    parameters: SamplingParameters
    prompts_per_chunk: int

    @property
    def chunks(self) -> list[tuple[PromptRow, ...]]:
        """The prompts, some at a time."""
        starts = range(0, len(self.prompts), self.prompts_per_chunk)
        return [self.prompts[start : start + self.prompts_per_chunk] for start in starts]


@dataclass(frozen=True, slots=True)
class SongPlaces:
    """Where finished chunks lie, and what is known of songs that ended a worker."""

    chunks: Path
    marks: Path


@dataclass(frozen=True, slots=True)
class ScoredSongs:
    """Songs and what was said of them; refused ones have no score but a reason."""

    candidates: tuple[CandidateRow, ...]
    scored: tuple[ScoredRow, ...]
    refusals: tuple[Refusal, ...]

    def write(self, folder: Path) -> None:
        """Keep them as tables."""
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / CANDIDATES, table_of(self.candidates, CandidateRow))
        _write(folder / SCORES, _outcome_table([*self.scored, *self.refusals]))


def read_songs(folder: Path) -> ScoredSongs:
    """What `write` kept."""
    outcomes = _outcomes(pq.read_table(folder / SCORES))
    return _songs(records_of(pq.read_table(folder / CANDIDATES), CandidateRow), outcomes)


def sing_and_score(
    request: SongRequest, pipeline: ScoringPipeline, hands: Hands, places: SongPlaces, progress: Progress
) -> ScoredSongs:
    """Sample every song and have it judged; chunks that are on file are not done again.

    Where the hands overlap, the next chunks are sampled while one is scored.
    """
    digest = model_digest(request.model)
    chunks = [_Chunk(request, prompts, digest, pipeline, places.chunks) for prompts in request.chunks]
    candidates: list[CandidateRow] = []
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        sampler, scorer = _Later[Sampler](), _Later[Scorer]()

        def sampled(chunk: _Chunk) -> list[CandidateRow]:
            return chunk.sampled(lambda: sampler.get(lambda: stack.enter_context(hands.sampler(request.model))))

        for chunk, rows in zip(chunks, _in_turn(sampled, chunks, hands.overlaps), strict=True):
            candidates += rows
            outcomes += chunk.scored(
                rows, lambda: scorer.get(lambda: stack.enter_context(hands.scorer(pipeline, places.marks)))
            )
            progress(len(candidates), len(request.prompts) * request.songs_per_prompt)
    return _songs(candidates, outcomes)


class _Later(Generic[Thing]):
    """Something that is opened when it is first needed: where all chunks are found, nothing is."""

    def __init__(self) -> None:
        self._thing: Thing | None = None

    def get(self, opened: Callable[[], Thing]) -> Thing:
        if self._thing is None:
            self._thing = opened()
        return self._thing


@dataclass(frozen=True, slots=True)
class _Chunk:
    request: SongRequest
    prompts: tuple[PromptRow, ...]
    digest: str
    pipeline: ScoringPipeline
    work: Path

    def sampled(self, sampler: Callable[[], Sampler]) -> list[CandidateRow]:
        file = self.work / f"{self._key()}-songs.parquet"
        if not file.is_file():
            _write(file, table_of(self._sample(sampler()), CandidateRow))
        return records_of(pq.read_table(file), CandidateRow)

    def scored(self, songs: Sequence[CandidateRow], scorer: Callable[[], Scorer]) -> list[Outcome]:
        file = self.work / f"{self._key()}-scores-{self.pipeline.chain[-1][:16]}.parquet"
        if not file.is_file():
            _write(file, _outcome_table(scorer().score(songs)))
        return _outcomes(pq.read_table(file))

    def _sample(self, sampler: Sampler) -> list[CandidateRow]:
        request = self.request
        songs = sample_candidates(
            sampler, self.prompts, request.songs_per_prompt, request.seed, request.parameters, lambda *_: None
        )
        strangers = {song.model_digest for song in songs} - {self.digest}
        if strangers:
            raise RuntimeError(f"songs of the models {sorted(strangers)}; expected {self.digest}")
        return [replace(song, candidate_id=f"{song.candidate_id}/{request.label}") for song in songs]

    def _key(self) -> str:
        request = self.request
        asked = [prompt.prompt_id for prompt in self.prompts]
        made_of = [self.digest, request.seed, request.label, request.parameters, request.songs_per_prompt, asked]
        return digest_json(made_of)[:32]


def _in_turn(
    sampled: Callable[[_Chunk], list[CandidateRow]], chunks: Sequence[_Chunk], ahead: bool
) -> Iterator[list[CandidateRow]]:
    if not ahead:
        yield from map(sampled, chunks)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="sampling") as pool:
        waiting: list[Future[list[CandidateRow]]] = [pool.submit(sampled, chunk) for chunk in chunks]
        try:
            for future in waiting:
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _songs(candidates: Sequence[CandidateRow], outcomes: Sequence[Outcome]) -> ScoredSongs:
    return ScoredSongs(
        tuple(candidates),
        tuple(one for one in outcomes if isinstance(one, ScoredRow)),
        tuple(one for one in outcomes if isinstance(one, Refusal)),
    )


def _outcome_table(outcomes: Sequence[Outcome]) -> pa.Table:
    records = [one if isinstance(one, ScoredRow) else None for one in outcomes]
    refusals = [one if isinstance(one, Refusal) else None for one in outcomes]
    return pa.table({_RECORD: struct_array_of(records, ScoredRow), _REFUSAL: struct_array_of(refusals, Refusal)})


def _outcomes(table: pa.Table) -> list[Outcome]:
    records = records_of_structs(table.column(_RECORD), ScoredRow)
    refusals = records_of_structs(table.column(_REFUSAL), Refusal)
    both = zip(records, refusals, strict=True)
    return [one for record, refusal in both if (one := record or refusal) is not None]


def _write(file: Path, table: pa.Table) -> None:
    write_atomically(file, lambda path: pq.write_table(table, path))

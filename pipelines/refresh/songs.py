"""Songs of a model for some prompts, sampled and scored a few prompts at a time, so that a kill loses one chunk."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import ceil
from pathlib import Path
from time import perf_counter

import pyarrow as pa
import pyarrow.parquet as pq

from levo.model.store import model_digest
from levo.song.digest import digest_json
from levo.song.files import write_atomically
from levo.song.schema import records_of, records_of_structs, struct_array_of, table_of
from levo.song.tokens import FRAME_RATE_HZ
from pipelines.flow.stage import Refusal
from pipelines.loop.records import CandidateRow, PromptRow, ScoredRow
from pipelines.loop.sampling import Sampler, sample_candidates
from pipelines.observability.catalogue import SongStatus
from pipelines.refresh.hands import Hands, Scorer, ScoringPipeline
from pipelines.refresh.setting import NightSetting

Outcome = ScoredRow | Refusal
CANDIDATES, SCORES = "candidates.parquet", "scores.parquet"
_RECORD, _REFUSAL = "record", "refusal"
_SAMPLE = "sample"
"""The name under which sampling is counted among the stages that songs go through."""


@dataclass(frozen=True, slots=True)
class SongRequest:
    """Whose songs, for which prompts, how many each, and the seed and label that make them songs of their own."""

    model: Path
    prompts: tuple[PromptRow, ...]
    songs_per_prompt: int
    seed: int
    label: str


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
    setting: NightSetting, request: SongRequest, pipeline: ScoringPipeline, places: SongPlaces
) -> ScoredSongs:
    """Sample every song and have it judged; chunks that are on file are not done again.

    Where the hands overlap, the next chunks are sampled while one is scored.
    """
    digest, sizes = model_digest(request.model), chunk_sizes(len(request.prompts), setting.config.prompts_per_chunk)
    candidates: list[CandidateRow] = []
    outcomes: list[Outcome] = []
    with ExitStack() as stack:
        opened = _Opened(setting.hands, request.model, pipeline, places.marks, stack)
        chunks = [
            _Chunk(setting, request, request.prompts[end - size : end], digest, places.chunks, opened)
            for size, end in zip(sizes, accumulate(sizes), strict=True)
        ]
        for chunk, rows in zip(chunks, _sampled(chunks, setting.hands.overlaps), strict=True):
            candidates += rows
            outcomes += chunk.scored(rows)
            setting.watch.progress(len(candidates), len(request.prompts) * request.songs_per_prompt)
    return _songs(candidates, outcomes)


def chunk_sizes(num_prompts: int, largest: int) -> list[int]:
    """How many prompts each chunk has: several have a quarter of the largest at both ends.

    The first chunk is sampled with nothing to be scored beside it, and the last one scored with nothing to be sampled.
    """
    if num_prompts <= largest:
        return [num_prompts] if num_prompts else []
    end = min(max(1, largest // 4), num_prompts // 2)
    between = num_prompts - 2 * end
    number = ceil(between / largest)
    return [end, *(between // number + (place < between % number) for place in range(number)), end]


@dataclass(frozen=True)
class _Opened:
    """A sampler and a scorer, each opened when it is first needed: where all chunks are found, neither is."""

    hands: Hands
    model: Path
    pipeline: ScoringPipeline
    marks: Path
    stack: ExitStack

    @cached_property
    def sampler(self) -> Sampler:
        return self.stack.enter_context(self.hands.sampler(self.model))

    @cached_property
    def scorer(self) -> Scorer:
        return self.stack.enter_context(self.hands.scorer(self.pipeline, self.marks))


@dataclass(frozen=True, slots=True)
class _Chunk:
    setting: NightSetting
    request: SongRequest
    prompts: tuple[PromptRow, ...]
    digest: str
    folder: Path
    opened: _Opened

    def sampled(self) -> list[CandidateRow]:
        file = self.folder / f"{self._key()}-songs.parquet"
        if not file.is_file():
            _write(file, table_of(self._sample(), CandidateRow))
        return records_of(pq.read_table(file), CandidateRow)

    def scored(self, songs: Sequence[CandidateRow]) -> list[Outcome]:
        file = self.folder / f"{self._key()}-scores-{self.opened.pipeline.chain[-1][:16]}.parquet"
        if not file.is_file():
            _write(file, _outcome_table(self.opened.scorer.score(songs)))
        return _outcomes(pq.read_table(file))

    def _sample(self) -> list[CandidateRow]:
        request, sampler, began_s = self.request, self.opened.sampler, perf_counter()
        songs = sample_candidates(
            sampler, self.prompts, request.songs_per_prompt, request.seed, self.setting.parameters, lambda *_: None
        )
        self._tell(songs, perf_counter() - began_s)
        strangers = {song.model_digest for song in songs} - {self.digest}
        if strangers:
            raise RuntimeError(f"songs of the models {sorted(strangers)}; expected {self.digest}")
        return [replace(song, candidate_id=f"{song.candidate_id}/{request.label}") for song in songs]

    def _tell(self, songs: Sequence[CandidateRow], wall_s: float) -> None:
        metrics, work_s = self.setting.watch.metrics, wall_s * self.setting.hands.num_samplers
        metrics.count_songs(_SAMPLE, SongStatus.PASSED, len(songs))
        for _ in songs:
            metrics.observe_stage(_SAMPLE, work_s / len(songs))
        sound_s = sum(song.codes.shape[1] for song in songs) / FRAME_RATE_HZ
        if sound_s:
            metrics.set_real_time_factor(_SAMPLE, work_s / sound_s)

    def _key(self) -> str:
        request = self.request
        asked = [prompt.prompt_id for prompt in self.prompts]
        made_of = [self.digest, request.seed, request.label, self.setting.parameters, request.songs_per_prompt, asked]
        return digest_json(made_of)[:32]


def _sampled(chunks: Sequence[_Chunk], ahead: bool) -> Iterator[list[CandidateRow]]:
    if not ahead:
        yield from (chunk.sampled() for chunk in chunks)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="sampling") as pool:
        waiting = [pool.submit(chunk.sampled) for chunk in chunks]
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

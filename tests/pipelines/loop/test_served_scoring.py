"""Scoring on Ray Serve: the pipeline's own outcomes, in order, beside a sampling service, through a replica's death."""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from levo.model.sampling.length_class import LengthClass
from levo.song.scores import Score
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import KILLED
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.stage import Refusal, Stage, Work
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.served_scoring import (
    ScoringConfig,
    ScoringService,
    running_scoring,
    start_scoring,
    stop_scoring,
)
from pipelines.loop.serving import ServingConfig, start_sampling, stop_sampling

pytestmark = pytest.mark.ray

START_LIMIT_S = 180
CONFIG = ScoringConfig(num_replicas=2, batch_size=4, health_check_period_s=0.5)


@dataclass(frozen=True, slots=True)
class SumOfCodes(Stage[CandidateRow, ScoredRow]):
    """Scores a song by the sum of its codes; refuses seed 3, raises on seed 5, ends its worker on seed 666."""

    name: ClassVar[str] = "sum"
    version: ClassVar[str] = "1"
    openings: Path

    def open(self) -> Work[CandidateRow, ScoredRow]:
        with (self.openings / f"{os.getpid()}").open("a") as file:
            file.write("opened\n")

        def judge(batch: Sequence[CandidateRow]) -> list[ScoredRow | Refusal]:
            return [self._judged(row, len(batch)) for row in batch]

        return judge

    def _judged(self, row: CandidateRow, batch_size: int) -> ScoredRow | Refusal:
        if row.seed == 666:
            os._exit(1)
        if row.seed == 5:
            raise RuntimeError("odd song")
        if row.seed == 3:
            return self.refuse(row.candidate_id, "too quiet", "no sound")
        time.sleep(0.01)
        return ScoredRow(
            candidate_id=row.candidate_id,
            prompt_id=row.prompt_id,
            audio=AudioReference(AudioPlace.OBJECTS, "none", "0" * 64, 0),
            duration_s=float(batch_size),
            heard_phonemes=(),
            heard_words=(),
            heard_tags=(),
            scores={"sum": Score(float(row.codes.sum()))},
        )


def candidate(seed: int) -> CandidateRow:
    codes = np.full((3, 2), seed, np.int32)
    return CandidateRow(f"p/{seed}/m", "p", seed, "m", True, "[verse] sun.", ("slow",), codes)


@pytest.fixture(scope="module")
def openings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openings")


@pytest.fixture(scope="module")
def service(
    local_ray: None, openings: Path, tmp_path_factory: pytest.TempPathFactory, within: Callable[..., Any]
) -> Iterator[ScoringService]:
    from ray import cloudpickle

    # Workers cannot import a test module by its name.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    attempts = Attempts(tmp_path_factory.mktemp("attempts"), budget=1)
    pipeline = Pipeline[CandidateRow, ScoredRow]((SumOfCodes(openings),))
    yield within(START_LIMIT_S, lambda: start_scoring(CONFIG, pipeline, attempts))
    within(START_LIMIT_S, stop_scoring)
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def sums(outcomes: Sequence[ScoredRow | Refusal]) -> list[float | None]:
    assert not any(isinstance(outcome, Refusal) for outcome in outcomes)
    return [outcome.scores["sum"].value for outcome in outcomes if isinstance(outcome, ScoredRow)]


def test_songs_are_scored_in_batches_and_come_in_order_while_they_are_made(
    service: ScoringService, openings: Path
) -> None:
    taken: list[int] = []

    def songs() -> Iterator[CandidateRow]:
        for seed in range(100, 180):
            taken.append(seed)
            yield candidate(seed)

    outcomes = service.outcomes(songs())
    found = [next(outcomes)]
    assert len(taken) <= CONFIG.max_songs * CONFIG.num_replicas + 1
    found += outcomes
    assert sums(found) == [6.0 * seed for seed in range(100, 180)]
    assert max(outcome.duration_s for outcome in found if isinstance(outcome, ScoredRow)) == CONFIG.batch_size
    files = list(openings.iterdir())
    assert len(files) == CONFIG.num_replicas
    assert all(file.read_text() == "opened\n" for file in files)


def test_a_song_that_cannot_be_scored_is_refused_and_its_neighbours_are_not(service: ScoringService) -> None:
    seen: list[tuple[int, int]] = []
    outcomes = service.score([candidate(seed) for seed in range(8)], lambda done, all_of: seen.append((done, all_of)))
    refused = {index: outcome.reason for index, outcome in enumerate(outcomes) if isinstance(outcome, Refusal)}
    assert refused == {3: "too quiet", 5: "failed in a stage"}
    assert seen == [(number, 8) for number in range(1, 9)]


def test_a_song_that_ends_its_replica_is_refused_and_no_other_is_lost(service: ScoringService) -> None:
    songs = [candidate(seed) for seed in (*range(10, 30), 666, *range(30, 50))]
    outcomes = service.score(songs)
    killer = outcomes.pop(20)
    assert isinstance(killer, Refusal)
    assert (killer.item_id, killer.reason) == ("p/666/m", KILLED)
    assert sums(outcomes) == [6.0 * seed for seed in range(10, 50)]


def test_a_service_is_found_again_and_lives_beside_another(
    service: ScoringService, tiny_model: Path, tmp_path: Path, within: Callable[..., Any]
) -> None:
    lengths = (LengthClass(num_rows=2, max_frames=8, max_prefix=24),)
    start = lambda: start_sampling(ServingConfig(length_classes=lengths), tiny_model, tmp_path / "model")  # noqa: E731
    within(START_LIMIT_S, start)
    within(START_LIMIT_S, stop_sampling)
    found = running_scoring(CONFIG)
    assert found is not None
    assert sums(found.score([candidate(20)])) == [120.0]


def test_sizes_that_make_no_service_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        ScoringConfig(batch_size=0)

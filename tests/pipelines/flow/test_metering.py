"""A flow's numbers are those of its outcomes: every song counted once in each stage that it reached."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

import pipelines.flow.run
import pipelines.loop.served_scoring
from pipelines.flow.attempts import Attempts
from pipelines.flow.executor import InProcessExecutor
from pipelines.flow.metering import FlowMeter
from pipelines.flow.pipeline import Pipeline
from pipelines.flow.run import run_flow
from pipelines.flow.stage import Refusal, Stage, Work
from pipelines.loop.served_scoring import ScorerReplica, ScoringConfig
from pipelines.observability.catalogue import ExportedMetric
from pipelines.observability.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Found:
    name: str


@dataclass(frozen=True, slots=True)
class Heard:
    name: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Judged:
    name: str
    duration_s: float
    points: int


@dataclass(frozen=True, slots=True)
class Hear(Stage[Found, Heard]):
    name: ClassVar[str] = "hear"
    version: ClassVar[str] = "1"

    def open(self) -> Work[Found, Heard]:
        return lambda batch: [self._heard(found) for found in batch]

    def _heard(self, found: Found) -> Heard | Refusal:
        if found.name.startswith("silent"):
            return self.refuse(found.name, "silent", "")
        return Heard(found.name, 10.0)


@dataclass(frozen=True, slots=True)
class Judge(Stage[Heard, Judged]):
    name: ClassVar[str] = "judge"
    version: ClassVar[str] = "1"

    def open(self) -> Work[Heard, Judged]:
        return self._judge

    def _judge(self, batch: Sequence[Heard]) -> list[Judged | Refusal]:
        if any(heard.name.startswith("odd") for heard in batch):
            raise RuntimeError("a judge that cannot")
        return [Judged(heard.name, heard.duration_s, 3) for heard in batch]


@dataclass
class Listener:
    """A sink that remembers."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    last: dict[tuple[str, ...], float] = field(default_factory=dict)
    observed: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    def record(self, metric: ExportedMetric, value: float, tags: Mapping[str, str]) -> None:
        key = (metric.name, *tags.values())
        self.counts[key] += int(value)
        self.last[key] = value
        self.observed.setdefault(key, []).append(value)


PIPELINE = Pipeline[Found, Judged]((Hear(), Judge()))
NAMES = ["a", "silent1", "b", "odd1", "c", "silent2", "d"]


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    listening = Listener()
    monkeypatch.setattr(pipelines.flow.run, "live_metrics", lambda: Metrics((listening,)))
    return listening


def test_songs_are_counted_by_stage_and_status(listener: Listener, tmp_path: Path) -> None:
    songs = [Found(name) for name in NAMES]
    result = run_flow(PIPELINE, songs, InProcessExecutor(batch_size=3), attempts=Attempts(tmp_path))
    assert len(result.records) == 4
    songs_told = {key[1:]: number for key, number in listener.counts.items() if key[0] == "levo_songs"}
    assert songs_told == {
        ("hear", "passed"): 5,
        ("hear", "refused"): 2,
        ("judge", "passed"): 4,
        ("judge", "failed"): 1,
    }


def test_seconds_are_told_for_every_song_and_make_the_real_time_factor(listener: Listener) -> None:
    songs = [Found(name) for name in NAMES if not name.startswith("odd")]
    result = run_flow(PIPELINE, songs, InProcessExecutor(batch_size=3))
    for stage, number in (("hear", 6), ("judge", 4)):
        told = listener.observed["levo_stage_seconds", stage]
        assert len(told) == number
        assert sum(told) == pytest.approx(result.stage_seconds[stage])
    # Four songs of ten seconds passed both stages; songs whose length nobody told count for nothing.
    factor = listener.last["levo_real_time_factor", "judge"]
    assert factor == pytest.approx(result.stage_seconds["judge"] / 40)
    assert 0 < listener.last["levo_real_time_factor", "hear"] < result.stage_seconds["hear"] / 40


def test_a_replicas_songs_are_counted_as_a_flows_are(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    songs: list[Any] = [Found(name) for name in NAMES]
    run_flow(PIPELINE, songs, InProcessExecutor(batch_size=3), attempts=Attempts(tmp_path / "flow"))
    by_flow, listener.counts = listener.counts, Counter()
    monkeypatch.setattr(pipelines.loop.served_scoring, "live_metrics", lambda: Metrics((listener,)))
    pipeline: Any = PIPELINE
    replica = ScorerReplica(ScoringConfig(), pipeline, Attempts(tmp_path / "replica"))
    outcomes = replica._outcomes(songs)
    assert [isinstance(one, Refusal) for one in outcomes] == [name in ("silent1", "odd1", "silent2") for name in NAMES]
    told = {key: number for key, number in listener.counts.items() if key[0] == "levo_songs"}
    assert told == {key: number for key, number in by_flow.items() if key[0] == "levo_songs"}
    assert len(listener.observed["levo_stage_seconds", "hear"]) == 2 * (len(NAMES) - 1), "an odd one is not timed"


def test_where_nobody_listens_nothing_is_looked_at() -> None:
    unreadable: Any = object()
    FlowMeter(Metrics()).take(PIPELINE.stages, unreadable)

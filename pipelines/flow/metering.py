"""What a flow tells of its batches in numbers: songs by what became of them, seconds, and the real-time factor."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.flow.batch import FAILED, DoneBatch, Trace
from pipelines.flow.executor import KILLED
from pipelines.flow.stage import Refusal, Stage
from pipelines.observability.catalogue import SongStatus
from pipelines.observability.metrics import Metrics

_DURATION = "duration_s"
"""The field of a record that says how long its song is."""


class FlowMeter:
    """Counts the batches of one run, in the process that takes them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._work_s: dict[str, float] = defaultdict(float)
        self._sound_s: dict[str, float] = defaultdict(float)

    def take(self, stages: Sequence[Stage[Any, Any]], done: DoneBatch) -> None:
        """Tell what these stages made of a batch; where nobody listens, nothing is done."""
        if self._metrics.sinks:
            songs = zip(done.num_passed, done.refusals, done.seconds, _durations_s(done), strict=True)
            self._take(stages, [_MeteredSong(*song) for song in songs])

    def take_traces(self, stages: Sequence[Stage[Any, Any]], traces: Sequence[Trace]) -> None:
        """The same of songs that are not yet a batch."""
        if self._metrics.sinks:
            songs = ((len(one.outputs), one.refusal, one.seconds, _duration_s(one.outputs)) for one in traces)
            self._take(stages, [_MeteredSong(*song) for song in songs])

    def _take(self, stages: Sequence[Stage[Any, Any]], songs: Sequence["_MeteredSong"]) -> None:
        for place, stage in enumerate(stages):
            for status, number in _statuses(place, songs).items():
                self._metrics.count_songs(stage.name, status, number)
            for song in songs:
                if place < len(song.seconds):
                    self._take_song(stage.name, song.seconds[place], song.duration_s)
            if self._sound_s[stage.name]:
                self._metrics.set_real_time_factor(stage.name, self._work_s[stage.name] / self._sound_s[stage.name])

    def _take_song(self, stage: str, took_s: float, duration_s: float | None) -> None:
        self._metrics.observe_stage(stage, took_s)
        if duration_s:
            self._work_s[stage] += took_s
            self._sound_s[stage] += duration_s


@dataclass(frozen=True, slots=True)
class _MeteredSong:
    num_passed: int
    refusal: Refusal | None
    seconds: Sequence[float]
    duration_s: float | None


def _statuses(place: int, songs: Sequence[_MeteredSong]) -> Counter[SongStatus]:
    """How many songs passed the stage at `place`, and how many ended there."""
    counts: Counter[SongStatus] = Counter()
    for song in songs:
        if song.num_passed > place:
            counts[SongStatus.PASSED] += 1
        elif song.num_passed == place and song.refusal is not None:
            counts[_status(song.refusal)] += 1
    return counts


def _status(refusal: Refusal) -> SongStatus:
    return SongStatus.FAILED if refusal.reason in (FAILED, KILLED) else SongStatus.REFUSED


def _durations_s(done: DoneBatch) -> list[float | None]:
    """How long each song is; None for one that no stage told it of."""
    for records in done.outputs:
        if pa.types.is_struct(records.type) and records.type.get_field_index(_DURATION) >= 0:
            durations: list[float | None] = pc.struct_field(records, _DURATION).to_pylist()
            return durations
    return [None] * len(done.indices)


def _duration_s(outputs: Sequence[Any]) -> float | None:
    return next((float(one.duration_s) for one in outputs if hasattr(one, _DURATION)), None)

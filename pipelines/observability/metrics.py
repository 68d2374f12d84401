"""The numbers that a run tells: one method each, to whatever takes them; to Ray where it runs, else to nobody."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pipelines.observability import catalogue
from pipelines.observability.catalogue import ExportedMetric, GateOutcome, Kind, NightOutcome, SongStatus


class Sink(Protocol):
    """Takes values: a counter's increment, a gauge's value, an observation of a histogram."""

    def record(self, metric: ExportedMetric, value: float, tags: Mapping[str, str]) -> None:
        """Take one; `tags` has a value for each of the metric's tags."""
        ...


@dataclass(frozen=True, slots=True)
class Metrics:
    """What code calls; without sinks nothing is done."""

    sinks: tuple[Sink, ...] = ()

    def count_songs(self, stage: str, status: SongStatus, number: int = 1) -> None:
        """Songs that a stage was done with."""
        self._record(catalogue.SONGS, number, stage=stage, status=status.value)

    def observe_stage(self, stage: str, seconds: float) -> None:
        """What a stage took for a song, in seconds of a worker."""
        self._record(catalogue.STAGE_SECONDS, seconds, stage=stage)

    def set_real_time_factor(self, stage: str, factor: float) -> None:
        """Seconds of a worker for a second of sound: below 1 is faster than the song plays."""
        self._record(catalogue.REAL_TIME_FACTOR, factor, stage=stage)

    def count_pairs(self, axis: str, number: int) -> None:
        """Preference pairs that were added."""
        self._record(catalogue.PAIRS, number, axis=axis)

    def set_pair_yield(self, axis: str, pairs_per_candidate: float) -> None:
        """Pairs made for a candidate this night."""
        self._record(catalogue.PAIR_YIELD, pairs_per_candidate, axis=axis)

    def set_reward(self, metric: str, mean: float, drift: float | None = None) -> None:
        """A night's mean of a metric, and how far it is from the usual night's (`drift.reward_drift`)."""
        self._record(catalogue.REWARD_MEAN, mean, metric=metric)
        if drift is not None:
            self._record(catalogue.REWARD_DRIFT, drift, metric=metric)

    def set_policy_drift(self, drift: float) -> None:
        """How far the champion has moved from the models that sang the earlier pairs in use."""
        self._record(catalogue.POLICY_DRIFT, drift)

    def count_night(self, outcome: NightOutcome) -> None:
        """A night that ended."""
        self._record(catalogue.NIGHTS, 1, outcome=outcome.value)

    def count_gate_decision(self, outcome: GateOutcome) -> None:
        """A candidate that the gate looked at."""
        self._record(catalogue.GATE_DECISIONS, 1, outcome=outcome.value)

    def mark_success(self, timestamp_s: float) -> None:
        """A night that committed; Unix time."""
        self._record(catalogue.LAST_SUCCESS, timestamp_s)

    def set_newest_date(self, timestamp_s: float) -> None:
        """Midnight (UTC) of the newest date whose night is committed; Unix time."""
        self._record(catalogue.NEWEST_DATE, timestamp_s)

    def set_tracking_backlog(self, num_events: int) -> None:
        """Events that wait for the tracking server."""
        self._record(catalogue.TRACKING_BACKLOG, num_events)

    def _record(self, metric: ExportedMetric, value: float, /, **tags: str) -> None:
        if metric.kind is Kind.COUNTER and value <= 0:
            return
        for sink in self.sinks:
            sink.record(metric, value, tags)


class RaySink:
    """Exports values as the metrics of this process's Ray; what comes when Ray is shut down goes nowhere."""

    _made: ClassVar[dict[str, Any]] = {}

    def record(self, metric: ExportedMetric, value: float, tags: Mapping[str, str]) -> None:
        """Hand a value to Ray, whose agent on the node exports it within seconds.

        A gauge is exported for two of Ray's report intervals (20 s), then forgotten until it is set again; counters
        and histograms stay as long as the cluster.
        """
        if not ray_is_open():
            return
        made = self._made.get(metric.name) or self._made.setdefault(metric.name, _ray_metric(metric))
        act = {Kind.COUNTER: "inc", Kind.GAUGE: "set", Kind.HISTOGRAM: "observe"}[metric.kind]
        getattr(made, act)(float(value), tags=dict(tags))


def live_metrics() -> Metrics:
    """What exports at once: through Ray where this process is connected to it, else nothing."""
    return Metrics((RaySink(),)) if ray_is_open() else Metrics()


def ray_is_open() -> bool:
    """Whether this process is connected to Ray; a process that never imported it does not begin to."""
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def _ray_metric(metric: ExportedMetric) -> Any:
    from ray.util import metrics

    if metric.kind is Kind.HISTOGRAM:
        return metrics.Histogram(metric.name, metric.description, list(metric.boundaries), metric.tags)
    made = metrics.Counter if metric.kind is Kind.COUNTER else metrics.Gauge
    return made(metric.name, metric.description, metric.tags)

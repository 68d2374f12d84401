"""Every metric of ours: its name, its kind, what it means and in which unit, and its tags."""

from dataclasses import dataclass
from enum import StrEnum

PREFIX = "ray_"
"""What Ray puts before a name when it exports it; a file of kept values has it too, so that one query reads both."""


class Kind(StrEnum):
    """How values add up."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class ExportedMetric:
    """A metric; `is_kept` where its last value still means something when the cluster that exported it is gone."""

    name: str
    kind: Kind
    description: str
    tags: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()
    is_kept: bool = False

    @property
    def exported_names(self) -> tuple[str, ...]:
        """The names of its series, as Prometheus finds them."""
        endings = {Kind.COUNTER: ("_total",), Kind.GAUGE: ("",), Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
        return tuple(f"{PREFIX}{self.name}{ending}" for ending in endings[self.kind])


class SongStatus(StrEnum):
    """What became of a song in a stage: `failed` where the stage raised on it or its worker was killed by it."""

    PASSED = "passed"
    REFUSED = "refused"
    FAILED = "failed"


class NightOutcome(StrEnum):
    """How a night ended; `kept` where it committed and the champion stayed, `promoted` where there is a new one."""

    PROMOTED = "promoted"
    KEPT = "kept"
    FAILED = "failed"


class GateOutcome(StrEnum):
    """What the gate said of a candidate; `alarm` is a refusal that a person must look at."""

    PROMOTED = "promoted"
    REFUSED = "refused"
    ALARM = "alarm"


SONGS = ExportedMetric("levo_songs", Kind.COUNTER, "Songs that a stage was done with", ("stage", "status"))
STAGE_SECONDS = ExportedMetric(
    "levo_stage_seconds",
    Kind.HISTOGRAM,
    "Seconds of a worker that a stage took for a song",
    ("stage",),
    (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0),
)
REAL_TIME_FACTOR = ExportedMetric(
    "levo_real_time_factor", Kind.GAUGE, "Seconds of a worker for a second of sound, over a run so far", ("stage",)
)
PAIRS = ExportedMetric("levo_pairs", Kind.COUNTER, "Preference pairs that were made", ("axis",), is_kept=True)
PAIR_YIELD = ExportedMetric(
    "levo_pair_yield", Kind.GAUGE, "Pairs for a candidate of the last night", ("axis",), is_kept=True
)
REWARD_MEAN = ExportedMetric("levo_reward_mean", Kind.GAUGE, "Mean of the last night", ("metric",), is_kept=True)
REWARD_DRIFT = ExportedMetric(
    "levo_reward_drift",
    Kind.GAUGE,
    "How far the mean is better (positive) than the usual night's, in the spread of the nights",
    ("metric",),
    is_kept=True,
)
POLICY_DRIFT = ExportedMetric(
    "levo_policy_drift",
    Kind.GAUGE,
    "How far the champion has moved from the earlier pairs' singers, in nats a token, over all that were in use",
    is_kept=True,
)
LAST_SUCCESS = ExportedMetric(
    "levo_refresh_last_success_timestamp_seconds", Kind.GAUGE, "When the last night ended well, Unix time", is_kept=True
)
NEWEST_DATE = ExportedMetric(
    "levo_refresh_newest_date_timestamp_seconds",
    Kind.GAUGE,
    "Midnight (UTC) of the newest date whose night is committed, Unix time",
    is_kept=True,
)
NIGHTS = ExportedMetric("levo_refresh_nights", Kind.COUNTER, "Nights by how they ended", ("outcome",), is_kept=True)
GATE_DECISIONS = ExportedMetric(
    "levo_gate_decisions", Kind.COUNTER, "Candidates by verdict", ("outcome",), is_kept=True
)
TRACKING_BACKLOG = ExportedMetric(
    "levo_tracking_backlog_events",
    Kind.GAUGE,
    "Events of tracked runs that the tracking server has not taken yet",
    is_kept=True,
)

CATALOGUE = (
    SONGS,
    STAGE_SECONDS,
    REAL_TIME_FACTOR,
    PAIRS,
    PAIR_YIELD,
    REWARD_MEAN,
    REWARD_DRIFT,
    POLICY_DRIFT,
    LAST_SUCCESS,
    NEWEST_DATE,
    NIGHTS,
    GATE_DECISIONS,
    TRACKING_BACKLOG,
)

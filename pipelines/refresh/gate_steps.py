"""The gate of a night: champion and candidate sing one fold of the gate's prompts, and held-out judges hear both."""

from collections.abc import Sequence

from levo.song.prompt import PromptSet
from levo.song.scores import Metric
from pipelines.loop.evaluation import has_score, metric_means
from pipelines.loop.metrics import HELD_OUT_METRIC, PAIR_METRIC
from pipelines.loop.records import PromptRow
from pipelines.refresh.commits import GateRecord, ModelEntry
from pipelines.refresh.gate import GateDecision, GateMetric, gate
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs, SongPlaces, SongRequest, sing_and_score

GATE_METRICS = (*HELD_OUT_METRIC.values(), *PAIR_METRIC.values())


def num_looks(setting: NightSetting) -> int:
    """How often the line's gate was asked, on any fold."""
    history = setting.store.commits.history()
    return sum(commit.night is not None and commit.night.gate is not None for commit in history)


def fold_prompts(prompts: Sequence[PromptRow], fold: int, num_folds: int) -> tuple[PromptRow, ...]:
    """A fold of the gate's prompts: every `num_folds`-th, from the fold's own place on."""
    if not 0 <= fold < num_folds:
        raise ValueError(f"fold is {fold}; expected 0 to {num_folds - 1}")
    return tuple(prompts[fold::num_folds])


def gate_songs(
    setting: NightSetting, model: ModelEntry, rival: str, look: int, places: SongPlaces, label: str = ""
) -> ScoredSongs:
    """A model's songs for the fold of a look, scored by training and held-out judges.

    Both models sing with the same seeds; `label` makes the songs, seeds included, others.
    """
    config = setting.config
    prompts = setting.prompts(PromptSet.GATE)
    folds = config.prompts.num_gate_folds
    request = SongRequest(
        model=setting.store.model(model),
        prompts=fold_prompts(prompts, look % folds, folds),
        songs_per_prompt=config.songs_per_gate_prompt,
        seed=setting.seed_of("gate", look, label),
        label=f"gate-{look}{label}",
    )
    pipeline = setting.pipeline(held_out=True, singers=(model.digest, rival), songs_heard=config.songs_per_gate_prompt)
    return sing_and_score(setting, request, pipeline, places)


def judge(setting: NightSetting, look: int, champion: ScoredSongs, candidate: ScoredSongs) -> GateDecision:
    """Ask the gate, with what its fold has been asked before."""
    metrics = [
        GateMetric(
            metric=metric,
            champion=metric_means(champion.scored, metric).means,
            candidate=metric_means(candidate.scored, metric).means,
            limit=setting.config.gate_limits.get(metric.name, 0.0),
            unheard=_unheard(champion, candidate, metric),
        )
        for metric in GATE_METRICS
    ]
    return gate(metrics, look // setting.config.prompts.num_gate_folds)


def _unheard(champion: ScoredSongs, candidate: ScoredSongs, metric: Metric) -> float:
    """How many songs fewer of the candidate's have a score, as a share of the champion's."""
    heard = [sum(has_score(row, metric) for row in songs.scored) for songs in (champion, candidate)]
    return max(0.0, 1 - heard[1] / heard[0]) if heard[0] else 0.0


def gate_record(setting: NightSetting, look: int, candidate: ModelEntry, decision: GateDecision) -> GateRecord:
    """What is kept of a look."""
    folds = setting.config.prompts.num_gate_folds
    return GateRecord(
        candidate=candidate,
        fold=look % folds,
        num_looks_before=look // folds,
        is_promoted=decision.is_promoted,
        coverage=decision.coverage,
        reasons=decision.reasons,
        alarms=decision.alarms,
        gains={one.name: (float(one.gain), float(one.low), float(one.high)) for one in decision.verdicts},
        surely={one.name: (float(one.surely_low), float(one.p_value)) for one in decision.verdicts},
    )


def report_songs(setting: NightSetting, model: ModelEntry, places: SongPlaces) -> ScoredSongs:
    """A model's songs for the report prompts: every model sings them with the same seeds; no decision reads them.

    Held-out judges hear them all as well: those that made the pairs have been trained for.
    """
    number = setting.config.songs_per_report_prompt
    request = SongRequest(
        model=setting.store.model(model),
        prompts=tuple(setting.prompts(PromptSet.REPORT)),
        songs_per_prompt=number,
        seed=setting.seed_of("report"),
        label="report",
    )
    pipeline = setting.pipeline(held_out=True, singers=(model.digest,), songs_heard=number)
    return sing_and_score(setting, request, pipeline, places)

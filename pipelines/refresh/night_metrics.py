"""What a committed night tells Prometheus: pairs, rewards and their drift, the gate, and that it was done."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from pipelines.loop.metrics import METRICS
from pipelines.observability.catalogue import GateOutcome, NightOutcome
from pipelines.observability.drift import reward_drift
from pipelines.observability.metrics import Metrics
from pipelines.refresh.commits import NightRecord
from pipelines.refresh.night import NightResult
from pipelines.refresh.setting import NightSetting

_NIGHTS_REMEMBERED = 14
_LEAST_NOISE = 0.01


def tell_night(
    metrics: Metrics,
    setting: NightSetting,
    result: NightResult,
    *,
    is_told: bool = False,
    clock: Callable[[], float] = time.time,
) -> None:
    """Tell all of a night once; of one that was told before (`is_told`), nothing."""
    night = result.commit.night
    if night is None or is_told:
        return
    metrics.mark_success(clock())
    metrics.set_newest_date(_newest_date(setting))
    for axis, number in night.new_pairs.items():
        metrics.count_pairs(axis, number)
        metrics.set_pair_yield(axis, number / night.num_candidates if night.num_candidates else 0.0)
    _tell_rewards(metrics, setting, night)
    metrics.set_policy_drift(night.policy_drift)
    if night.gate is not None:
        refused = GateOutcome.ALARM if night.gate.alarms else GateOutcome.REFUSED
        metrics.count_gate_decision(GateOutcome.PROMOTED if night.gate.is_promoted else refused)
    promoted = night.gate is not None and night.gate.is_promoted
    metrics.count_night(NightOutcome.PROMOTED if promoted else NightOutcome.KEPT)


def _newest_date(setting: NightSetting) -> float:
    """Midnight (UTC) of the newest committed date, as Unix time."""
    return datetime.fromisoformat(max(setting.store.committed_nights())).replace(tzinfo=UTC).timestamp()


def _tell_rewards(metrics: Metrics, setting: NightSetting, night: NightRecord) -> None:
    history = [one.night for one in setting.store.commits.history() if one.night and one.night.date != night.date]
    known = {metric.name: metric for metric in METRICS}
    for name, mean in night.means.items():
        earlier = [one.means[name] for one in history[:_NIGHTS_REMEMBERED] if name in one.means]
        drift = reward_drift(known[name], mean, earlier, _LEAST_NOISE) if name in known else None
        metrics.set_reward(name, mean, drift)

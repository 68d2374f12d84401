"""What mixtures of models are judged by: the goal of a search, its best trial, and what is told of it."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from levo.alignment.search import Goal, Limit, Trial, choose
from pipelines.loop.config import MergeConfig
from pipelines.loop.metrics import MUSICALITY, PHONEME_ERROR_RATE, SIMILARITY_TO_PROMPT, SIMILARITY_TO_TEXT


def goal_over(base: Mapping[str, float], config: MergeConfig) -> Goal:
    """Lowest phoneme error, with no more loss on the other axes than the recipe allows, by the search songs' means.

    Raises `ValueError` where the base's own songs lack a metric: nothing can be held against it.
    """
    missing = [one.name for one in (SIMILARITY_TO_TEXT, SIMILARITY_TO_PROMPT, MUSICALITY) if one.name not in base]
    if missing:
        raise ValueError(
            f"no song of the base for the search prompts has {', '.join(missing)}; are its judges at work?"
        )
    return Goal(
        weights={PHONEME_ERROR_RATE.name: -1.0},
        limits=(
            *(
                Limit(metric.name, lowest=base[metric.name] - config.max_similarity_loss)
                for metric in (SIMILARITY_TO_TEXT, SIMILARITY_TO_PROMPT)
            ),
            Limit(MUSICALITY.name, lowest=base[MUSICALITY.name] - config.max_musicality_loss),
        ),
    )


def best_trial(trials: Sequence[Trial], goal: Goal) -> Trial:
    """The best within the limits, or where every one breaks a limit the one of lowest phoneme error."""
    return choose(trials, goal).best or min(trials, key=_error_rate)


def _error_rate(trial: Trial) -> float:
    """One whose songs were all refused is the last choice."""
    value = trial.metrics.get(PHONEME_ERROR_RATE.name)
    return inf if value is None else value


def search_record(trials: Sequence[Trial], goal: Goal) -> dict[str, Any]:
    """What was tried, and why what was refused was refused, as plain values."""
    return {
        "trials": [{"coefficients": list(trial.coefficients), "metrics": dict(trial.metrics)} for trial in trials],
        "refused": [
            {"coefficients": list(one), "reasons": list(reasons)} for one, reasons in choose(trials, goal).refused
        ],
    }

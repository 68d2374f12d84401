"""The rater benchmark: pairs that people's ratings make, by the pairing rule and by plain best and worst."""

import json
from dataclasses import asdict
from pathlib import Path

from reward.rater_trial import RATING_AXES, RaterTrial, read_ratings, run_rater_trial

_NOISE_MULTIPLES = (2.0, 4.0)


def bench_raters(ratings: Path, *, as_json: bool) -> str:
    """Try the rule on every axis: a few raters are the noisy scorer, the others the truth."""
    trials = [
        run_rater_trial(read_ratings(ratings, axis), axis, seed=0, noise_multiple=multiple)
        for axis in RATING_AXES
        for multiple in _NOISE_MULTIPLES
    ]
    return json.dumps([asdict(trial) for trial in trials], indent=1) if as_json else markdown_table(trials)


def markdown_table(trials: list[RaterTrial]) -> str:
    """One row a trial; shares of pairs that point the wrong way, at the same number of pairs."""
    lines = [
        "| axis | noise multiple | kept | wrong, rule | wrong, max / min | difference |",
        "|---|---|---|---|---|---|",
    ]
    for trial in trials:
        gap = trial.difference
        lines.append(
            f"| {trial.rating_axis} | {trial.noise_multiple:g} | {trial.kept_share:.2f} | {trial.wrong_share_rule:.3f} "
            f"| {trial.wrong_share_max_min:.3f} | {gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}] |"
        )
    return "\n".join(lines)

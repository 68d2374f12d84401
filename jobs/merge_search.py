"""A longer search for a run's mixture than its recipe makes: goal and limits by name, moves from the best so far."""

import re
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from jobs.cluster import ray_cluster
from jobs.loop_run import open_loop
from jobs.progress import RunProgress
from levo.alignment.interpolation import MergeError
from levo.alignment.search import Goal, Limit, SearchPlan, choose
from levo.model.store import model_digest
from levo.song.files import write_json
from levo.song.scores import Metric
from pipelines.loop.evaluation_steps import base_means, merge_name, search_goal, search_mixtures
from pipelines.loop.merge_goal import search_record
from pipelines.loop.metrics import METRICS
from pipelines.loop.model_steps import publish_model
from pipelines.loop.serving import stop_sampling

SEARCH_FILE = "search.json"
_LIMIT = re.compile(r"(\w+)(<=|>=)([-+.\deE]+)")


def search_longer(
    recipe: str, seed: int, run: Path, num_trials: int, improve: str, limits: Sequence[str], out: Path
) -> str:
    """Try up to `num_trials` mixtures of a run's aligned models and write the best to `out`; returns what to print.

    The run must have its recipe's own choice already. Raises `MergeError` where no mixture keeps the limits.
    """
    wanted = metric_named(improve)
    given = tuple(parse_limit(text) for text in limits)
    opened = open_loop(recipe, seed, run, "none")
    context = opened.context
    goal = Goal({wanted.name: wanted.gain(1.0)}, given or search_goal(context).limits)
    opening = context.config.merge.coefficients
    plan = SearchPlan(opening, max(num_trials, len(opening)))
    progress = RunProgress(1, Console(highlight=False))
    with opened.tracked(), ray_cluster():
        try:
            with progress.step("search mixtures") as show:
                trials = search_mixtures(context, goal, plan, show)
        finally:
            stop_sampling()
    opened.tracker.close()
    best = choose(trials, goal).best
    record = {"improve": wanted.name, "base": base_means(context), **search_record(trials, goal)}
    write_json(run / SEARCH_FILE, record | {"best": None if best is None else list(best.coefficients)})
    if best is None:
        raise MergeError(f"none of {len(trials)} mixtures keeps the limits; {run / SEARCH_FILE} says why for each")
    publish_model(context.places.lelm(merge_name(best.coefficients)), out)
    values = ", ".join(f"{value:g}" for value in best.coefficients)
    return f"{model_digest(out)}  {values}: {wanted.name} {best.metrics[wanted.name]:.4g}, best of {len(trials)}"


def metric_named(name: str) -> Metric:
    """A metric that the search prompts are scored by; raises `MergeError` with the names there are."""
    known = {metric.name: metric for metric in METRICS if metric.judge == "training"}
    if name not in known:
        raise MergeError(f"no search metric {name!r}; expected one of {', '.join(known)}")
    return known[name]


def parse_limit(text: str) -> Limit:
    """`NAME<=VALUE` or `NAME>=VALUE`; raises `MergeError` for anything else."""
    found = _LIMIT.fullmatch(text.replace(" ", ""))
    try:
        value = float(found[3]) if found else float("nan")
    except ValueError:
        found = None
    if found is None:
        raise MergeError(f"limit {text!r}; expected a metric, <= or >=, and a number, as in phoneme_error_rate<=0.25")
    metric = metric_named(found[1])
    return Limit(metric.name, highest=value) if found[2] == "<=" else Limit(metric.name, lowest=value)

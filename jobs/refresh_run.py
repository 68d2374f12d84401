"""Opens a line of champions, does its nights on Ray or in this process, and shows and tracks what comes of them."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from rich.console import Console

from jobs.cluster import ray_cluster
from jobs.recipes.loop import recipe_named
from jobs.recipes.refresh import refresh_named
from jobs.refresh import RefreshOptions, RollbackOptions
from jobs.refresh_tracking import NightTracking, registered_line, track_rollback
from jobs.tracking.mlflow_tracker import open_tracker
from pipelines.flow.run_folder import read_config
from pipelines.loop.context import LoopContext
from pipelines.loop.places import RunPlaces
from pipelines.observability.catalogue import NightOutcome
from pipelines.observability.kept_values import FILE_NAME, kept_metrics
from pipelines.observability.logs import log_context
from pipelines.refresh.collection import collect
from pipelines.refresh.hands import Hands
from pipelines.refresh.hands_in_process import InProcessHands
from pipelines.refresh.hands_on_ray import RayHands
from pipelines.refresh.held_line import held_line
from pipelines.refresh.line import first_champion
from pipelines.refresh.night import NightResult, run_night
from pipelines.refresh.night_metrics import tell_night
from pipelines.refresh.pair_steps import choose
from pipelines.refresh.rollback import roll_back
from pipelines.refresh.setting import NightSetting, Watch
from pipelines.refresh.store import RefreshStore

PUSHGATEWAY = "LEVO_PUSHGATEWAY"


def do_nights(options: RefreshOptions, dates: tuple[str, ...]) -> int:
    """Do the nights in turn; an error ends them, and leaves what is committed."""
    console = Console(highlight=False)
    if not dates:
        console.print("no night was begun and left unfinished")
        return 0
    with ExitStack() as stack:
        setting = _setting(options, stack)
        tracker = open_tracker(options.store, options.tracking_uri)
        stack.callback(tracker.close)
        for date in dates:
            with _measured(options, setting) as watched:
                tracking = NightTracking(tracker, watched, date, options.recipe)
                with log_context(run_key=tracking.run_key, stage="refresh"), tracking.night() as told:
                    shown = replace(told, watch=replace(told.watch, on_step=_shown(console, date, told.watch)))
                    result = _night(shown, date)
                    tracking.complete(result)
            console.print(told_night(date, result), markup=False)
        _collect(setting, console)
    return 0


def do_rollback(options: RollbackOptions) -> int:
    """Roll back, and move the registry's aliases."""
    store = RefreshStore(options.store, options.pointers)
    commit = roll_back(store, options.reason)
    tracker = open_tracker(options.store, options.tracking_uri)
    track_rollback(tracker, registered_line(options.recipe), store, commit)
    waiting = tracker.close()
    was = "" if commit.previous is None else f" (was {commit.previous.digest[:12]})"
    print(f"champion is {commit.champion.digest[:12]}{was}; services that follow {store.champion} swap to it")
    if waiting:
        print(f"{waiting} events wait for the tracking server; the next night delivers them")
    return 0


def show_plan(options: RefreshOptions, dates: tuple[str, ...]) -> int:
    """What the nights would do."""
    with ExitStack() as stack:
        setting = _setting(replace(options, in_process=True), stack)
        head = setting.store.commits.head()
        if head is None:
            print(f"{options.store} holds no line yet; it would begin with {first_champion(setting)}")
            return 0
        done = {commit.night.date: commit for commit in setting.store.commits.history() if commit.night}
        newest = max(done, default="none")
        print(f"champion {head.champion.digest[:12]}, {len(done)} nights committed, the newest {newest}")
        for date in dates:
            if date in done:
                print(f"{date}: committed already; nothing would be done")
                continue
            chosen = choose(setting, date)
            number = len(chosen["prompts"])
            print(
                f"{date}: {number} prompts ({chosen['num_weak']} where the champion is weakest) of {chosen['kinds']} "
                f"of {chosen['all_kinds']} kinds, {number * setting.config.candidates_per_prompt} candidates"
            )
    return 0


def told_night(date: str, result: NightResult) -> str:
    """A night in a line or two."""
    night = result.commit.night
    if night is None or not result.is_new:
        return f"{date}: done before, by commit {result.commit.commit_id[:12]}; nothing was done"
    pairs = ", ".join(f"{number} {axis}" for axis, number in night.new_pairs.items())
    gate = "no training"
    if night.gate is not None:
        gate = "promoted" if night.gate.is_promoted else f"refused: {'; '.join(night.gate.reasons)}"
    alarms = "".join(f"\n  alarm: {alarm}" for alarm in night.alarms)
    return (
        f"{date}: {night.num_candidates} candidates, new pairs: {pairs}; {night.aged_pairs} aged; "
        f"{gate}; champion {result.commit.champion.digest[:12]}{alarms}"
    )


def _night(setting: NightSetting, date: str) -> NightResult:
    metrics = setting.watch.metrics
    try:
        result = run_night(setting, date)
    except Exception:
        metrics.count_night(NightOutcome.FAILED)
        raise
    tell_night(metrics, setting, result)
    return result


def _setting(options: RefreshOptions, stack: ExitStack) -> NightSetting:
    config = recipe_named(options.recipe, options.seed)
    _check_run(options, config.recipe, config.seed)
    context = LoopContext(config, RunPlaces(options.run))
    store = RefreshStore(options.store, options.pointers)
    hands = _hands(options, context, stack)
    line = refresh_named(options.recipe, options.seed)
    return NightSetting(context, line, store, hands, own_prompts=options.prompts)


def _hands(options: RefreshOptions, context: LoopContext, stack: ExitStack) -> Hands:
    if options.in_process:
        return InProcessHands(context.config.sampling)
    stack.enter_context(ray_cluster())
    hands = RayHands(context.config, (options.store / "serving" / "model").resolve())
    stack.callback(hands.close)
    return hands


def _check_run(options: RefreshOptions, recipe: str, seed: int) -> None:
    """The run must have been begun with this recipe and seed: judges and model are its own."""
    begun = read_config(options.run)["loop"]
    if (begun["recipe"], begun["seed"]) != (recipe, seed):
        raise ValueError(
            f"--run {options.run} was begun with recipe {begun['recipe']} and seed {begun['seed']}; "
            f"got --recipe {recipe} --seed {seed}"
        )


@contextmanager
def _measured(options: RefreshOptions, setting: NightSetting) -> Iterator[NightSetting]:
    """The setting with metrics that outlive this process."""
    address = options.pushgateway or os.environ.get(PUSHGATEWAY)
    with kept_metrics(setting.store.metrics / FILE_NAME, options.store.resolve().name, address) as metrics:
        yield replace(setting, watch=Watch(metrics=metrics))


def _shown(console: Console, date: str, watch: Watch) -> Callable[[str], None]:
    def on_step(step: str) -> None:
        console.print(f"{date}: {step} ...", markup=False)
        watch.on_step(step)

    return on_step


def _collect(setting: NightSetting, console: Console) -> None:
    with held_line(setting.store, setting.config.lease_s) as held:
        collected = collect(setting.store, held.commits, setting.config.grace_days)
    if collected.paths:
        console.print(f"collected {len(collected.paths)} things that no commit names", markup=False)

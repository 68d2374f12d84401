"""Opens a line of champions, does its nights on Ray or in this process, and shows and tracks what comes of them."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from rich.console import Console

from jobs.cluster import ray_cluster
from jobs.recipes.loop import recipe_named
from jobs.recipes.refresh import refresh_named
from jobs.refresh import RefreshOptions, RollbackOptions
from jobs.refresh_tracking import NightTracking, registered_line, track_rollback
from jobs.tracking.mlflow_tracker import open_tracker
from jobs.tracking.protocol import Tracker
from pipelines.flow.run_folder import read_config
from pipelines.loop.context import LoopContext
from pipelines.loop.places import RunPlaces
from pipelines.observability.catalogue import NightOutcome
from pipelines.observability.kept_values import FILE_NAME, kept_metrics
from pipelines.observability.logs import log_context
from pipelines.refresh.collection import collect
from pipelines.refresh.commits import ROLLBACK
from pipelines.refresh.hands import Hands
from pipelines.refresh.hands_in_process import InProcessHands
from pipelines.refresh.held_line import HeldLine, held_line
from pipelines.refresh.lease import LostLeaseError
from pipelines.refresh.line import begin_line, first_champion
from pipelines.refresh.line_facts import open_store, read_facts
from pipelines.refresh.night import NightResult, held_night
from pipelines.refresh.night_metrics import tell_night
from pipelines.refresh.pair_steps import choose
from pipelines.refresh.rollback import roll_back
from pipelines.refresh.setting import NightSetting, Watch, open_setting
from pipelines.refresh.store import RefreshStore

PUSHGATEWAY = "LEVO_PUSHGATEWAY"


def do_nights(options: RefreshOptions, dates: tuple[str, ...]) -> int:
    """Do the nights in turn; an error ends them, and leaves what is committed. Without any, what waits is delivered."""
    console = Console(highlight=False)
    if not dates:
        open_store(options.store, options.pointers).show_head()
        console.print("no night was begun and left unfinished")
        if read_facts(options.store) is None:
            return 0
    setting = _setting(options)
    with ExitStack() as stack:
        # Before anything is told, or started: of two at once the other's services, runs and metrics are not ours.
        held = stack.enter_context(held_line(setting.store, setting.config.lease_s))
        if dates:
            begin_line(setting, held.commits, held.check)
            setting = replace(setting, hands=_hands(options, setting.context, stack))
        tracker = open_tracker(options.store, options.tracking_uri)
        stack.push(partial(_close, options, setting, tracker))
        _nights(options, setting, dates, held, tracker, console)
        _collect(setting, held, console)
    return 0


def _close(
    options: RefreshOptions, setting: NightSetting, tracker: Tracker, kind: type[BaseException] | None, *_: object
) -> None:
    """Deliver what is left, and keep how much waits: an alert must see it when this program's cluster is gone."""
    waiting = tracker.close()
    if kind is None or not issubclass(kind, LostLeaseError):
        with _measured(options, setting) as watched:
            watched.watch.metrics.set_tracking_backlog(waiting)


def _nights(
    options: RefreshOptions,
    setting: NightSetting,
    dates: tuple[str, ...],
    held: HeldLine,
    tracker: Tracker,
    console: Console,
) -> None:
    committed: list[str] = []
    try:
        for date in dates:
            with _measured(options, setting) as watched:
                tracking = NightTracking(tracker, watched, date, options.recipe, registered_line(setting.store))
                with log_context(run_key=tracking.run_key, stage="refresh"), tracking.night() as told:
                    shown = replace(told, watch=replace(told.watch, on_step=_shown(console, date, told.watch)))
                    result = _night(shown, date, held)
                    tracking.complete(result)
            setting.store.mark_told(date)
            committed.append(date)
            console.print(told_night(date, result), markup=False)
    except LostLeaseError as error:
        error.add_note(f"committed before: {', '.join(committed) or 'nothing'}")
        raise


def do_rollback(options: RollbackOptions) -> int:
    """Roll back, and move the registry's aliases."""
    store = open_store(options.store)
    rolled = roll_back(store, options.reason, options.to)
    commit = rolled.commit
    if not rolled.is_new:
        print(
            f"champion is {commit.champion.digest[:12]} already, by commit {commit.commit_id[:12]}; another one comes "
            "back by --to and the beginning of its SHA-256"
        )
    if commit.kind != ROLLBACK:
        return 0
    tracker = open_tracker(options.store, options.tracking_uri)
    track_rollback(tracker, registered_line(store), store, commit)
    waiting = tracker.close()
    print(f"champion is {commit.champion.digest[:12]}; services that follow {store.champion} swap to it")
    if waiting:
        print(f"{waiting} events wait for the tracking server; the next night delivers them")
    return 0


def show_plan(options: RefreshOptions, dates: tuple[str, ...]) -> int:
    """What the nights would do."""
    setting = _setting(options)
    head = setting.store.commits.head()
    if head is None:
        print(f"{options.store} holds no line yet; it would begin with {first_champion(setting)}")
        return 0
    done = setting.store.committed_nights()
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


def _night(setting: NightSetting, date: str, held: HeldLine) -> NightResult:
    metrics = setting.watch.metrics
    try:
        result = held_night(setting, date, held)
    except LostLeaseError:
        raise
    except Exception:
        metrics.count_night(NightOutcome.FAILED)
        raise
    tell_night(metrics, setting, result, is_told=setting.store.is_told(date))
    return result


def _setting(options: RefreshOptions) -> NightSetting:
    """The line, with hands that work in this process."""
    config = recipe_named(options.recipe, options.seed)
    _check_run(options, config.recipe, config.seed)
    context = LoopContext(config, RunPlaces(options.run))
    store = open_store(options.store, options.pointers)
    line = refresh_named(options.recipe, options.seed)
    return open_setting(context, line, store, InProcessHands(config.sampling), options.prompts, options.champion)


def _hands(options: RefreshOptions, context: LoopContext, stack: ExitStack) -> Hands:
    """Hands for as long as the stack is open; services that run by then for somebody else are left to them."""
    if options.in_process:
        return InProcessHands(context.config.sampling)
    from pipelines.refresh.hands_on_ray import RayHands

    stack.enter_context(ray_cluster())
    hands = RayHands(context.config, RefreshStore(options.store).sampled_model)

    def close(kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not issubclass(kind, LostLeaseError):
            hands.close()

    stack.push(close)
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
    file, store = setting.store.metrics / FILE_NAME, options.store.resolve().name
    with kept_metrics(file, store, address, lost=LostLeaseError) as metrics:
        yield replace(setting, watch=Watch(metrics=metrics))


def _shown(console: Console, date: str, watch: Watch) -> Callable[[str], None]:
    def on_step(step: str) -> None:
        console.print(f"{date}: {step} ...", markup=False)
        watch.on_step(step)

    return on_step


def _collect(setting: NightSetting, held: HeldLine, console: Console) -> None:
    try:
        collected = collect(setting.store, held.commits, setting.config.grace_days, held.check)
    except LostLeaseError as error:
        console.print(f"the nights are committed; what is to be collected is left to others: {error}", markup=False)
        return
    if collected.paths:
        console.print(f"collected {len(collected.paths)} things that no commit names", markup=False)

"""A line of champions for trials: opened in this process, or driven as the program that a scheduler starts."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.cluster import ray_cluster
from jobs.recipes.loop import recipe_named
from jobs.recipes.refresh import refresh_named
from pipelines.loop.context import LoopContext
from pipelines.loop.places import RunPlaces
from pipelines.refresh.commits import ModelEntry
from pipelines.refresh.hands_in_process import InProcessHands
from pipelines.refresh.hands_on_ray import RayHands
from pipelines.refresh.night import run_night
from pipelines.refresh.pool import PooledPair, read_pool
from pipelines.refresh.setting import NightSetting, open_setting
from pipelines.refresh.store import RefreshStore


@dataclass(frozen=True, slots=True)
class TrialLine:
    """The line of a run and recipe, in a store."""

    run: Path
    recipe: str
    store: Path
    seed: int = 0
    on_ray: bool = False
    """Whether nights work on a Ray: one of their own, where they are programs of their own."""
    opens_gate: bool = False
    """Whether nights that are programs of their own promote every candidate (`refresh_open_gate`)."""

    def setting(self, line_seed: int | None = None) -> NightSetting:
        """The line in this process; another `line_seed` draws other prompts and songs with the same models."""
        context = LoopContext(recipe_named(self.recipe, self.seed), RunPlaces(self.run))
        config = refresh_named(self.recipe, self.seed)
        if line_seed is not None:
            config = replace(config, seed=line_seed)
        return open_setting(context, config, RefreshStore(self.store), InProcessHands(context.config.sampling))

    @contextmanager
    def opened(self, line_seed: int) -> Iterator[NightSetting]:
        """The line in this process, its work on a Ray of this machine where `on_ray` says so."""
        setting = self.setting(line_seed)
        if not self.on_ray:
            yield setting
            return
        with ray_cluster():
            hands = RayHands(setting.context.config, setting.store.sampled_model)
            try:
                yield replace(setting, hands=hands)
            finally:
                hands.close()

    def start_night(self, date: str) -> "subprocess.Popen[str]":
        """`levo refresh` for a date, in a process of its own."""
        options = {"run": self.run, "store": self.store, "recipe": self.recipe, "seed": self.seed, "date": date}
        told = [f"--{name}={value}" for name, value in options.items()]
        program = ["jobs.benchmarks.refresh_open_gate"] if self.opens_gate else ["jobs", "refresh"]
        where = [] if self.on_ray else ["--in-process"]
        command = [sys.executable, "-m", *program, *told, *where, "--tracking-uri=none"]
        # The interpreter that runs this, on arguments of our own.
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603

    def finish_night(self, date: str) -> str:
        """A night from beginning to end; raises RuntimeError with what it printed where it fails."""
        process = self.start_night(date)
        printed, _ = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the night {date} ended with {process.returncode}: {printed[-2000:]}")
        return printed


def night_without_training(setting: NightSetting, date: str) -> ModelEntry:
    """A night that makes prompts, songs and pairs, and trains nothing; the champion."""
    patient = replace(setting.config, decision=replace(setting.config.decision, min_pairs=10**9), agreement_pairs=0)
    return run_night(replace(setting, config=patient), date).commit.champion


@dataclass(frozen=True, slots=True)
class LineState:
    """What a line has come to: the digest of its pairs' snapshot, of its champion, and the pairs themselves."""

    pairs: str | None
    champion: str
    rows: tuple[PooledPair, ...]

    @property
    def num_doubled(self) -> int:
        """Pairs that are there more than once, by id or by songs."""
        ids = [row.pair.pair_id for row in self.rows]
        songs = [(row.pair.axis, row.chosen.sha256, row.rejected.sha256) for row in self.rows]
        return max(len(ids) - len(set(ids)), len(songs) - len(set(songs)))


def state_of(store: Path) -> LineState:
    """The state at the head; raises ValueError where the line was not begun."""
    opened = RefreshStore(store)
    head = opened.commits.head()
    if head is None:
        raise ValueError(f"{store} holds no line of champions")
    rows = () if head.pairs is None else tuple(read_pool(opened.pairs.open(head.pairs)))
    return LineState(head.pairs, head.champion.digest, rows)

"""The gate on candidates whose worth is known: one trained on swapped pairs, and the champion itself on other seeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.benchmarks.refresh_line import TrialLine, night_without_training
from levo.alignment.pairs import PairStore, write_pairs
from levo.model.store import model_digest
from levo.song.files import copy_folder
from levo.song.scores import Axis
from levo.training.phases import PhaseConfig
from pipelines.refresh.commits import ModelEntry
from pipelines.refresh.gate import GateDecision
from pipelines.refresh.gate_steps import gate_songs, judge
from pipelines.refresh.hands import Training
from pipelines.refresh.pair_steps import pool_of
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import SongPlaces
from pipelines.refresh.training_steps import planned

WORSE, EQUAL = "trained on swapped pairs", "the champion on other seeds"
_DATE = "2026-01-01"
_FOLD_PROMPTS = 24


@dataclass(frozen=True, slots=True)
class GateTrial:
    """What the gate said of a candidate, by seed."""

    candidate: str
    seed: int
    is_promoted: bool
    reasons: tuple[str, ...]
    gains: dict[str, tuple[float, float, float]]


def try_gate(line: TrialLine, num_seeds: int, progress: Callable[[object], None]) -> tuple[GateTrial, ...]:
    """Ask a fresh gate about both candidates, once a seed, each on a line of its own beneath the given one's store; a
    seed changes prompts, songs and the order of training.
    """
    trials = []
    for seed in range(num_seeds):
        folder = line.store / f"seed-{seed}"
        with replace(line, store=folder).opened(line_seed=seed) as opened:
            for trial in _asked(_roomy(opened), folder, seed):
                progress(trial)
                trials.append(trial)
    return tuple(trials)


def _asked(setting: NightSetting, folder: Path, seed: int) -> Iterator[GateTrial]:
    champion = night_without_training(setting, _DATE)
    places = SongPlaces(folder / "trial", folder.parent / "marks")
    worse = _swapped(setting, champion, folder / "swapped", seed)
    old = gate_songs(setting, champion, champion.digest, 0, places)
    for name, candidate, label in ((WORSE, worse, ""), (EQUAL, champion, "-again")):
        new = gate_songs(setting, candidate, candidate.digest, 0, places, label)
        yield _trial(name, seed, judge(setting, 0, old, new))


def _roomy(setting: NightSetting) -> NightSetting:
    """With prompts enough in a fold for the gate to promote: a handful of them promotes nobody, whatever they say."""
    prompts = setting.config.prompts
    number = max(prompts.num_gate, _FOLD_PROMPTS * prompts.num_gate_folds)
    return replace(setting, config=replace(setting.config, prompts=replace(prompts, num_gate=number)))


def _swapped(setting: NightSetting, champion: ModelEntry, folder: Path, seed: int) -> ModelEntry:
    """The model that learns the night's pairs the wrong way round, on all axes in turn, four times as long."""
    (attempt,) = setting.store.night(_DATE).glob("attempt-*")
    pool = pool_of(attempt / "pair")
    axes = [axis for axis in Axis if any(row.pair.axis is axis for row in pool)]
    plan = planned(setting, pool, axes, setting.store.model(champion), folder / "pairs", folder / "training")
    phases: list[PhaseConfig] = []
    for phase in plan.phases:
        store = PairStore(phase.data)
        turned = [
            replace(
                pair,
                chosen=pair.rejected,
                rejected=pair.chosen,
                chosen_ended=pair.rejected_ended,
                rejected_ended=pair.chosen_ended,
            )
            for pair in (store[index] for index in range(len(store)))
        ]
        swapped = write_pairs(turned, folder / f"swapped-{phase.name}")
        longer = replace(phase, data=swapped.folder, num_steps=4 * phase.num_steps, seed=seed)
        phases.append(longer if not phases else replace(longer, init_model=None))
    done = setting.hands.train(
        Training(tuple(phases), folder / "training", setting.store.reference), lambda _name, _step: None
    )
    digest = model_digest(done[-1].model_folder)
    place = setting.store.entry_of_folder(digest)
    copy_folder(done[-1].model_folder, setting.store.folder / place)
    return ModelEntry(digest, place, _DATE)


def _trial(name: str, seed: int, decision: GateDecision) -> GateTrial:
    gains = {one.name: (one.gain, one.low, one.high) for one in decision.verdicts}
    return GateTrial(name, seed, decision.is_promoted, decision.reasons, gains)

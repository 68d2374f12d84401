"""The steps of a night that make a candidate: one model a preference from the champion, and a mixture of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from levo.alignment.interpolation import WeightedModel, merge_models
from levo.alignment.search import Coefficients, Trial, choose
from levo.alignment.trial_config import TrialConfig
from levo.model.store import model_digest
from levo.song.digest import digest_json
from levo.song.prompt import PromptSet
from levo.song.scores import Axis
from levo.training.phases import PhaseConfig
from levo.training.results import MODEL_FOLDER
from pipelines.flow.run_folder import remove_tree
from pipelines.loop.evaluation import mean_scores
from pipelines.loop.merge_goal import best_trial, goal_over, search_record
from pipelines.loop.metrics import PAIR_METRIC
from pipelines.loop.preferences import preference_phase
from pipelines.refresh.commits import ModelEntry
from pipelines.refresh.hands import Examination, Training
from pipelines.refresh.measuring import on_file
from pipelines.refresh.pool import PooledPair, active, write_training_pairs
from pipelines.refresh.setting import NightSetting
from pipelines.refresh.songs import ScoredSongs, SongPlaces, SongRequest, sing_and_score

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AxisTraining:
    """The phases of a night, and where they train."""

    phases: tuple[PhaseConfig, ...]
    storage: Path

    def only(self, axes: Sequence[Axis]) -> "AxisTraining":
        """The runs of some axes."""
        names = {axis.value for axis in axes}
        return replace(self, phases=tuple(phase for phase in self.phases if phase.name in names))

    def model(self, axis: str) -> Path:
        """The folder of a trained model."""
        return self.storage / axis / MODEL_FOLDER


def planned(
    setting: NightSetting, pool: Sequence[PooledPair], axes: Sequence[Axis], champion: Path, folder: Path, storage: Path
) -> AxisTraining:
    """Write the pairs of the axes that are trained on, and plan a run over each from the champion."""
    prompts, alignment = setting.prompts_by_id(), setting.context.config.alignment
    phases = []
    for axis in axes:
        remove_tree(folder / axis.value)
        store = write_training_pairs(active(pool, axis), prompts, setting.store.objects, folder / axis.value)
        rate, seed = alignment.learning_rate[axis], setting.context.config.seed
        phase = preference_phase(axis.value, store, champion, alignment, rate, seed, setting.precision)
        phases.append(setting.context.config.training.applied_to(phase))
    return AxisTraining(tuple(phases), storage)


def examine(
    setting: NightSetting, pool: Sequence[PooledPair], training: AxisTraining, trial: TrialConfig, folder: Path
) -> Result:
    """Look every run over before it is paid for: problems, warnings and measures by axis."""
    reports = {}
    for phase in training.phases:
        axis = Axis(phase.name)
        metric = PAIR_METRIC[axis]
        gains = {
            row.pair.pair_id: metric.gain(row.pair.chosen_score - row.pair.rejected_score) for row in active(pool, axis)
        }
        reference = on_file(_reference_digest(phase), setting.store.reference, setting.precision)
        reports[axis.value] = setting.hands.examine(Examination(phase, gains, reference, trial, folder / axis.value))
    return {
        "problems": {axis: list(report.problems) for axis, report in reports.items() if report.problems},
        "warnings": {axis: list(report.warnings) for axis, report in reports.items() if report.warnings},
        "measures": {axis: dict(report.measures) for axis, report in reports.items()},
    }


def _reference_digest(phase: PhaseConfig) -> str:
    if phase.init_model is None:
        raise ValueError(f"phase {phase.name} has no initial model; expected the champion")
    return model_digest(phase.init_model)


def align(setting: NightSetting, training: AxisTraining) -> Result:
    """Train every axis; what an attempt before this one finished is found, what it began goes on."""
    done = setting.hands.train(
        Training(training.phases, training.storage, setting.store.reference), setting.watch.on_log
    )
    return {
        "models": {one.name: one.model_digest for one in done},
        "num_steps": {one.name: one.num_steps for one in done},
        "metrics": {one.name: one.metrics for one in done},
        "wall_s": {one.name: one.wall_s for one in done},
    }


def mixtures(axes: Sequence[Axis], coefficients: Sequence[Coefficients]) -> list[tuple[float, ...]]:
    """The recipe's coefficients for the axes that were trained, each mixture once."""
    places = [list(Axis).index(axis) for axis in axes]
    return list(dict.fromkeys(tuple(point[place] for place in places) for point in coefficients))


def mix(
    setting: NightSetting,
    date: str,
    axes: Sequence[Axis],
    training: AxisTraining,
    champion: ModelEntry,
    places: SongPlaces,
    folder: Path,
) -> Result:
    """Merge the models as the recipe tries it; of several mixtures the search prompts choose one within the limits.

    Where every mixture breaks a limit the one of lowest phoneme error goes to the gate, which has limits of its own:
    search prompts are few, and their judges those that made the pairs.
    """
    base = setting.store.model(champion)
    points = mixtures(axes, setting.context.config.merge.coefficients)
    folders = {point: folder / digest_json(point)[:16] for point in points}
    for point, out in folders.items():
        remove_tree(out)
        parts = [WeightedModel(training.model(axis.value), weight) for axis, weight in zip(axes, point, strict=True)]
        merge_models(parts, out, base=base)
    best = points[0]
    told: Result = {}
    if len(points) > 1:
        best, told = _searched(setting, date, folders, base, places)
    kept = _kept(setting, date, axes, training, best, folders[best])
    for out in folders.values():
        remove_tree(out)
    return {"candidate": kept, **told}


def search_songs(setting: NightSetting, date: str, model: Path, places: SongPlaces) -> ScoredSongs:
    """A model's songs for the prompts by which a mixture is chosen, scored by the judges that make pairs."""
    request = SongRequest(
        model=model,
        prompts=tuple(setting.prompts(PromptSet.SEARCH)),
        songs_per_prompt=setting.config.songs_per_search_prompt,
        seed=setting.seed_of("search", date),
        label=f"search-{date}",
    )
    return sing_and_score(setting, request, setting.pipeline(held_out=False), places)


def _kept(
    setting: NightSetting, date: str, axes: Sequence[Axis], training: AxisTraining, point: Coefficients, made: Path
) -> Result:
    """Move a mixture among the store's models, where it goes by its digest."""
    digest = model_digest(made)
    folder = setting.store.entry_of_folder(digest)
    place = setting.store.folder / folder
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        made.rename(place)
    parts = [[model_digest(training.model(axis.value)), weight] for axis, weight in zip(axes, point, strict=True)]
    return {"digest": digest, "folder": folder, "night": date, "parts": parts}


def _searched(
    setting: NightSetting, date: str, folders: Mapping[Coefficients, Path], base: Path, places: SongPlaces
) -> tuple[Coefficients, Result]:
    before = _search_means(setting, date, base, places)
    goal = goal_over(before, setting.context.config.merge)
    trials = [Trial(point, _search_means(setting, date, model, places)) for point, model in folders.items()]
    found = {"within_limits": choose(trials, goal).best is not None, "champion": before}
    return best_trial(trials, goal).coefficients, found | search_record(trials, goal)


def _search_means(setting: NightSetting, date: str, model: Path, places: SongPlaces) -> dict[str, float]:
    return mean_scores(search_songs(setting, date, model, places).scored)

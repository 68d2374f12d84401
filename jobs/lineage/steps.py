"""What each step of the loop read, used and made, told from its result and the run's places once it is done."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jobs.lineage.datasets import RunDatasets
from jobs.lineage.models import (
    DEFECTS_JUDGE,
    LISTENERS,
    MUSICALITY_JUDGE,
    SIMILARITY_JUDGE,
    TAG_AGREEMENT_JUDGE,
    TOKENIZER,
    Models,
    Results,
    RunModels,
)
from jobs.lineage.records import EVALUATION, INPUT, OUTPUT, TRAINING, DatasetUse, MadeModel, StepLineage
from jobs.tracking.protocol import CANDIDATE, DatasetReference, ModelReference
from levo.song.scores import Axis
from pipelines.corpus.embedded import CODEC
from pipelines.loop.context import LoopContext
from pipelines.loop.evaluation_steps import ALIGNED, REPORTED
from pipelines.loop.metrics import MUSICAL_DEFECTS, MUSICALITY, SIMILARITY_TO_TEXT, TAG_AGREEMENT
from pipelines.loop.model_names import BASE, INITIAL, INTERPOLATED
from pipelines.loop.preferences import MIXED
from pipelines.loop.song_sets import PAIR_SONGS

_JUDGES = {
    SIMILARITY_TO_TEXT.name: SIMILARITY_JUDGE,
    MUSICALITY.name: MUSICALITY_JUDGE,
    TAG_AGREEMENT.name: TAG_AGREEMENT_JUDGE,
    MUSICAL_DEFECTS.name: DEFECTS_JUDGE,
}

_Result = Mapping[str, Any]


def step_lineage(step: str, context: LoopContext, results: Results) -> StepLineage:
    """The lineage of a finished step; `results` holds its result and those of the steps before it.

    Empty for a step that is not known here. Raises `OSError`, `ValueError` or `LookupError` where the run's folder or
    a result is not as its step leaves it.
    """
    describe = _STEPS.get(step) or next((one for ending, one in _ENDINGS.items() if step.endswith(ending)), None)
    return StepLineage() if describe is None else describe(_Run(context, results), results[step])


def report_lineage(context: LoopContext) -> StepLineage:
    """What the final table is made from."""
    data = RunDatasets(context.places)
    return StepLineage(tuple(DatasetUse(data.scores(f"report-{model}"), EVALUATION) for model in REPORTED))


@dataclass(frozen=True)
class _Run:
    """A run as far as it is done."""

    context: LoopContext
    results: Results

    @cached_property
    def data(self) -> RunDatasets:
        return RunDatasets(self.context.places)

    @cached_property
    def models(self) -> Models:
        return RunModels(self.context).known(self.results)

    def made_by(self, step: str) -> tuple[MadeModel, ...]:
        return tuple(MadeModel(model) for model in RunModels(self.context).made_by(step, self.results[step]).values())

    def named(self, roles: Iterable[str]) -> tuple[ModelReference, ...]:
        return tuple(self.models[role] for role in dict.fromkeys(roles))


def _render(run: _Run, _: _Result) -> StepLineage:
    return StepLineage(_uses(OUTPUT, run.data.rendered_songs(), run.data.truth()))


def _fit(run: _Run, _: _Result) -> StepLineage:
    return StepLineage(made=run.made_by("fit"))


def _corpus(run: _Run, result: _Result) -> StepLineage:
    songs = _uses(INPUT, run.data.rendered_songs())
    return _labelled(run, songs, "corpus", run.context.places.corpus, result)


def _separation(run: _Run, result: _Result) -> StepLineage:
    places, data = run.context.places, run.data
    read = _uses(INPUT, data.recordings("separation-sample", places.separated_corpus))
    truth = _uses(EVALUATION, data.truth(), data.corpus("corpus", places.corpus))
    return _labelled(run, read + truth, "separated-corpus", places.separated_corpus, result)


def _recordings(run: _Run, result: _Result) -> StepLineage:
    corpus = run.context.places.recordings_corpus
    return _labelled(run, _uses(INPUT, run.data.recordings("recordings", corpus)), "recordings-corpus", corpus, result)


def _labelled(run: _Run, read: tuple[DatasetUse, ...], name: str, corpus: Path, result: _Result) -> StepLineage:
    labelled = _uses(OUTPUT, run.data.corpus(name, corpus, result["snapshot"]))
    return StepLineage(read + labelled, run.named((*LISTENERS, MUSICALITY_JUDGE)))


def _prompts(run: _Run, _: _Result) -> StepLineage:
    return StepLineage(_uses(OUTPUT, run.data.prompts()), run.named((CODEC,)))


def _initial(run: _Run, result: _Result) -> StepLineage:
    corpus = _uses(INPUT, run.data.corpus("corpus", run.context.places.corpus))
    return StepLineage(corpus + _uses(OUTPUT, *_examples(run, result)), made=run.made_by("initial"))


def _train(run: _Run, _: _Result) -> StepLineage:
    examples = _uses(TRAINING, *_examples(run, run.results["initial"]))
    return StepLineage(examples, run.named((INITIAL, TOKENIZER)), run.made_by("train"))


def _sampled(run: _Run, result: _Result) -> StepLineage:
    """Sets of songs: the models that sang them are those whose digests their tables hold."""
    songs = _uses(OUTPUT, *(run.data.candidates(name) for name in result["sets"]))
    roles = [_singer(run.models, name, digest) for name in result["sets"] for digest in run.data.singers(name)]
    return StepLineage(_uses(INPUT, run.data.prompts()) + songs, run.named(roles))


def _scored(run: _Run, result: _Result) -> StepLineage:
    """Scores of sets: the judges are those whose metrics their tables hold."""
    songs = _uses(INPUT, run.data.prompts(), *(run.data.candidates(name) for name in result["sets"]))
    scores = _uses(OUTPUT, *(run.data.scores(name) for name in result["sets"]))
    metrics = [metric for name in result["sets"] for metric in run.data.metrics(name)]
    judges = [_JUDGES[metric] for metric in metrics if metric in _JUDGES]
    return StepLineage(songs + scores, run.named((*LISTENERS, *judges)))


def _pair(run: _Run, _: _Result) -> StepLineage:
    name = PAIR_SONGS.name
    read = _uses(INPUT, run.data.prompts(), run.data.candidates(name), run.data.scores(name))
    made = _uses(OUTPUT, run.data.pairs(), *(run.data.training_pairs(axis.value) for axis in Axis))
    return StepLineage(read + made)


def _align(run: _Run, result: _Result) -> StepLineage:
    read = _uses(TRAINING, *(run.data.training_pairs(axis.value) for axis in Axis))
    union = _uses(OUTPUT, run.data.training_pairs(MIXED))
    made = RunModels(run.context).made_by("align", result)
    phases = tuple(MadeModel(model, phase) for phase, model in made.items())
    return StepLineage(read + union, run.named((BASE,)), phases)


def _merge(run: _Run, _: _Result) -> StepLineage:
    return StepLineage(used=run.named((BASE, *ALIGNED)), made=run.made_by("merge"))


def _choose(run: _Run, _: _Result) -> StepLineage:
    scores = _uses(EVALUATION, *(run.data.scores(name) for name in run.results["search-score"]["sets"]))
    return StepLineage(scores, run.named((BASE, *ALIGNED)), (MadeModel(run.models[INTERPOLATED], alias=CANDIDATE),))


def _stages_train(run: _Run, _: _Result) -> StepLineage:
    examples = _uses(TRAINING, *_examples(run, run.results["initial"]))
    return StepLineage(examples, run.named((INITIAL, TOKENIZER)), run.made_by("stages-train"))


def _rivals(run: _Run, _: _Result) -> StepLineage:
    return StepLineage(used=run.named((INITIAL, BASE)), made=run.made_by("rivals"))


def _examples(run: _Run, initial: _Result) -> tuple[DatasetReference, ...]:
    return tuple(run.data.examples(name) for name in initial["examples"])


def _singer(models: Models, song_set: str, digest: str) -> str:
    """The model of a digest; of several, the one that the set is named after."""
    roles = [role for role, model in models.items() if model.sha256 == digest]
    if not roles:
        raise LookupError(f"songs of {song_set} come from a model of digest {digest}; no step of this run made it")
    return max(roles, key=lambda role: len(role) if f"-{role}" in song_set else 0)


def _uses(part: str, *datasets: DatasetReference) -> tuple[DatasetUse, ...]:
    return tuple(DatasetUse(dataset, part) for dataset in datasets)


_STEPS: dict[str, Callable[[_Run, _Result], StepLineage]] = {
    "render": _render,
    "fit": _fit,
    "corpus": _corpus,
    "separation": _separation,
    "recordings": _recordings,
    "prompts": _prompts,
    "initial": _initial,
    "train": _train,
    "pair": _pair,
    "align": _align,
    "merge": _merge,
    "choose": _choose,
    "control": _sampled,
    "stages-train": _stages_train,
    "rivals": _rivals,
}
_ENDINGS = {"sample": _sampled, "score": _scored}
"""Steps of one kind, such as `search-sample` and `report-sample`."""

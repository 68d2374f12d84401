"""The steps that make song models: the untrained one, stages 1 and 2, and the preference runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from levo.alignment.pairs import PairStore, write_union
from levo.model.config import LeLMConfig, TextVocabulary, demo_config
from levo.model.construction import new_lelm
from levo.model.store import model_digest, save_model
from levo.model.tokenizer import build_tokenizer
from levo.song.description import Description
from levo.song.files import copy_folder
from levo.song.lyrics import parse_lyrics
from levo.song.scores import Axis
from levo.training.examples import ExampleStore, write_examples
from levo.training.loop import LoggedStep
from levo.training.phases import PhaseConfig, Stage
from levo.training.results import PhaseResult
from pipelines.corpus.records import PreparedSong
from pipelines.corpus.snapshot import Corpus, open_corpus
from pipelines.flow.run_folder import remove_tree
from pipelines.loop.config import PhasePlan, TrainingConfig
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import StepProgress, StepResult
from pipelines.loop.deepspeed_engine import ZeroOptions
from pipelines.loop.examples import TokenizedSong, beginning, evenly_chosen, training_examples
from pipelines.loop.model_names import BASE, INITIAL
from pipelines.loop.preferences import MIXED, preference_phase
from pipelines.loop.training import TrainingScale, run_phases
from pipelines.rendered.world import TAG_VOCABULARY

CurveCallback = Callable[[str, LoggedStep], None]


def build_initial_model(context: LoopContext) -> StepResult:
    """The text tokenizer of the corpus's words, the untrained model, and the examples of every phase."""
    corpus = open_corpus(context.places.corpus)
    vocabulary = build_tokenizer(_words(corpus.songs), context.places.tokenizer)
    model = new_lelm(lelm_config(context, vocabulary), context.config.seed, table_std=context.config.training.table_std)
    digest = save_model(model, context.places.tokenizer, context.places.lelm(INITIAL))
    tokenized = tokenized_songs(corpus)
    counts = {}
    for plan in context.config.training.phases:
        folder = examples_folder(context, plan)
        counts[folder.name] = len(write_phase_examples(context, tokenized, plan, folder))
    return {
        "digest": digest,
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "examples": counts,
    }


def train_base(context: LoopContext, progress: StepProgress, on_log: CurveCallback) -> StepResult:
    """Stages 1 and 2 as phases of one fit; the last phase's model is the base."""
    first, *others = base_phases(context)
    phases = [replace(first, init_model=context.places.lelm(INITIAL)), *others]
    results = train_phases(context, phases, "base", progress, on_log)
    publish_model(results[-1].model_folder, context.places.lelm(BASE))
    extended = [result for result in results if result.mixed_logits is not None]
    return {
        "digest": model_digest(context.places.lelm(BASE)),
        "phases": [phase_facts(result) for result in results],
        "mixed_logits_identical": all(result.mixed_logits.identical for result in extended if result.mixed_logits),
    }


def align_models(context: LoopContext, progress: StepProgress, on_log: CurveCallback) -> StepResult:
    """One DPO run a preference, and one on the union of their pairs, in turn in one fit."""
    alignment, base = context.config.alignment, context.places.lelm(BASE)
    stores = {axis: PairStore(pairs_folder(context, axis.value)) for axis in Axis}
    union = pairs_folder(context, MIXED)
    mixed = PairStore(union) if union.exists() else write_union(stores.values(), union)
    seed, precision = context.config.seed, context.config.training.precision
    phases = [
        preference_phase(axis.value, stores[axis], base, alignment, alignment.learning_rate[axis], seed, precision)
        for axis in Axis
    ]
    union_once = replace(alignment, epochs=alignment.mixed_epochs)
    phases.append(preference_phase(MIXED, mixed, base, union_once, alignment.mixed_learning_rate, seed, precision))
    results = train_phases(context, phases, "alignment", progress, on_log)
    for result in results:
        publish_model(result.model_folder, context.places.lelm(result.name))
    return {"phases": [phase_facts(result) for result in results]}


def base_phases(context: LoopContext) -> list[PhaseConfig]:
    """The recipe's phases, each going on from the one before."""
    return [_phase(context, plan) for plan in context.config.training.phases]


def lelm_config(context: LoopContext, vocabulary: TextVocabulary) -> LeLMConfig:
    """The run's model: the recipe's sizes over the corpus's vocabulary."""
    return replace(context.config.model.over(demo_config(vocabulary)), code_size=context.config.code_size)


def pairs_folder(context: LoopContext, name: str) -> Path:
    """Where the pairs of one preference lie."""
    return context.places.training / "pairs" / name


def _words(songs: Sequence[PreparedSong]) -> list[str]:
    sung = {word for song in songs for word in parse_lyrics(song.lyrics).words}
    tags = {word for names in TAG_VOCABULARY.values() for tag in names for word in tag.split()}
    return sorted(sung | tags)


def tokenized_songs(corpus: Corpus) -> list[TokenizedSong]:
    """A corpus as training sees it."""
    return [
        TokenizedSong(
            song_id=song.song_id,
            collection=song.collection or "",
            singer=song.singer or "",
            lyrics=song.lyrics,
            description=Description(song.tags, song.tier),
            codes=corpus.tokens(song).codes,
        )
        for song in corpus.songs
    ]


def write_phase_examples(
    context: LoopContext, songs: Sequence[TokenizedSong], plan: PhasePlan, folder: Path
) -> ExampleStore:
    """What a phase trains on, of these songs: the plan's collections, evened and cut as it says."""
    remove_tree(folder)
    frames = context.config.prompts.audio_prompt_frames
    seed = context.config.seed
    examples = training_examples(songs, plan.collections, frames, seed)
    if plan.even:
        chosen = evenly_chosen(songs, plan.collections, seed)
        examples = [example for example in examples if example.example_id in chosen]
    if plan.max_frames is not None:
        examples = [beginning(example, plan.max_frames) for example in examples]
    return write_examples(examples, folder)


def examples_folder(context: LoopContext, plan: PhasePlan) -> Path:
    """Where the base's examples of a phase lie; phases on the same examples share it."""
    return context.places.training / "examples" / plan.examples_name


def _phase(context: LoopContext, plan: PhasePlan) -> PhaseConfig:
    training = context.config.training
    dropout = training.dropout
    if plan.audio_prompt_dropout is not None:
        dropout = replace(dropout, audio_prompt=plan.audio_prompt_dropout)
    return PhaseConfig(
        name=plan.name,
        stage=Stage(plan.stage),
        data=examples_folder(context, plan),
        num_steps=plan.steps,
        batch_rows=plan.batch_size,
        micro_batches=plan.micro_batches,
        learning_rate=plan.learning_rate,
        seed=context.config.seed,
        warmup_steps=plan.warmup_steps,
        min_learning_rate_ratio=plan.min_ratio,
        dropout=dropout,
        precision=training.precision,
        checkpoint_every=training.checkpoint_every,
    )


def train_phases(
    context: LoopContext,
    phases: Sequence[PhaseConfig],
    name: str,
    progress: StepProgress,
    on_log: CurveCallback,
) -> list[PhaseResult]:
    """Run phases in turn, kept under `name`, as one fit or a fit each; what is finished is not done again."""
    training = context.config.training
    phases = [training.applied_to(phase) for phase in phases]
    total = sum(phase.num_steps for phase in phases)
    before = {phase.name: sum(other.num_steps for other in phases[:place]) for place, phase in enumerate(phases)}

    def log(phase: str, logged: LoggedStep) -> None:
        progress(before[phase] + logged.step, total)
        on_log(phase, logged)

    scale = training_scale(training)
    folder = context.places.training / name
    if not training.split_fits:
        return run_phases(phases, folder, log, scale)
    results: list[PhaseResult] = []
    for phase in phases:
        begins_from = results[-1].model_folder if results and phase.init_model is None else phase.init_model
        whole = replace(phase, init_model=begins_from)
        results += run_phases([whole], folder, log, scale)
    return results


def training_scale(training: TrainingConfig) -> TrainingScale:
    """The workers that a recipe trains with."""
    return TrainingScale(
        num_workers=training.num_workers,
        cpus_per_worker=training.threads_per_worker,
        use_gpu=training.use_gpu,
        zero=ZeroOptions(training.zero_stage),
        max_failures=training.max_failures,
    )


def publish_model(trained: Path, folder: Path) -> None:
    """Give a phase's model its name in the run; the phase's own folder stays for resuming."""
    copy_folder(trained, folder)


def phase_facts(result: PhaseResult) -> StepResult:
    """What a step tells of a phase that it ran."""
    return {
        "name": result.name,
        "stage": result.stage.value,
        "digest": result.model_digest,
        "num_steps": result.num_steps,
        "wall_s": result.wall_s,
        "metrics": result.metrics,
    }

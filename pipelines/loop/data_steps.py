"""The steps before the song model: render the corpus, fit codec and judges, label the songs, draw the prompts."""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray

from pipelines.corpus.embedded import CODEC
from pipelines.corpus.flow import CorpusConfig, prepare_corpus
from pipelines.corpus.snapshot import open_corpus
from pipelines.flow.ray_executor import RayExecutor
from pipelines.flow.run import Progress
from pipelines.flow.snapshot import SnapshotStore
from pipelines.flow.stage import Refusal
from pipelines.loop.context import LoopContext
from pipelines.loop.fitting import (
    calibrate_held_out_judges,
    fit_codec,
    fit_musicality_judge,
    fit_recogniser,
    fit_similarity_judge,
    fit_tagger,
    measure_scorer_noise,
)
from pipelines.loop.label_quality import own_label_quality, read_truth, separation_quality
from pipelines.loop.prompts import PromptSource, draw_prompts, publish_prompts
from pipelines.loop.separation_sample import write_separation_sample
from pipelines.rendered.catalogue import RenderedCorpusConfig
from pipelines.rendered.corpus import write_corpus

StepProgress = Callable[[int, int], None]
StepResult = dict[str, Any]
_NUM_WORKERS = 2


def render_corpus(context: LoopContext, progress: StepProgress) -> StepResult:
    """Write the rendered corpus as audio files and metadata, and fit the codec beside it, on songs of its own."""
    corpus = context.config.corpus
    context.voice()
    codec = _task(_codec).remote(context)
    written = write_corpus(
        RenderedCorpusConfig(
            num_studio=corpus.num_studio,
            num_wild=corpus.num_wild,
            num_long=corpus.num_long,
            seed=context.config.seed,
            noise=corpus.noise,
            world=context.config.world,
        ),
        context.places.songs,
        progress,
        bank_folder=context.places.voice,
        num_workers=_NUM_WORKERS,
    )
    ray.get(codec)
    return {"num_songs": written.num_songs}


def fit_models(context: LoopContext, progress: StepProgress) -> StepResult:
    """Fit side by side everything that listens to what the codec decodes, and measure the training judges' noise.

    Each model is fitted by a Ray task on one thread, so that its numbers do not depend on the machine's cores, in a
    process of its own, which gives its memory back at its end.
    """
    context.voice()
    digests: StepResult = {"codec": ray.get(_task(_codec).remote(context))}
    tasks = {name: _task(fit).remote(context) for name, fit in _LISTENERS.items()}
    tasks["noise"] = _task(_noise).remote(context, *(tasks[name] for name in _JUDGES))
    waiting = {task: name for name, task in tasks.items()}
    left = list(waiting)
    while left:
        ready, left = ray.wait(left, num_returns=1)
        digests[waiting[ready[0]]] = ray.get(ready[0])
        progress(len(digests), 1 + len(tasks))
    return digests


def label_corpus(context: LoopContext, progress: StepProgress) -> StepResult:
    """Run the corpus flow over the rendered songs, with their true stems."""
    return _prepared(context, context.places.songs, context.places.corpus, CorpusConfig(), progress)


def label_separation_sample(context: LoopContext, progress: StepProgress) -> StepResult:
    """Run the corpus flow over a sample without stems, and compare with the truth."""
    places = context.places
    truth = read_truth(places.truth)
    long_ids = frozenset(name for name, song in truth.items() if song.is_long)
    num_sample = context.config.corpus.num_separation_sample
    write_separation_sample(places.songs, long_ids, num_sample, places.separation_sample)
    result = _prepared(context, places.separation_sample, places.separated_corpus, CorpusConfig(), progress)
    quality = separation_quality(open_corpus(places.separated_corpus), truth, places.songs)
    own = own_label_quality(open_corpus(places.corpus).songs, truth, context.lexicon())
    return result | {"separation": asdict(quality), "own_labels": asdict(own)}


def label_recordings(context: LoopContext, recordings: Path, progress: StepProgress) -> StepResult:
    """Run the corpus flow over real recordings, all of whose stems and labels are the flow's own."""
    return _prepared(context, recordings, context.places.recordings_corpus, CorpusConfig(), progress)


def make_prompts(context: LoopContext, progress: StepProgress) -> StepResult:
    """Draw and store the prompts of all sets."""
    prompts = draw_prompts(context.config.prompts, context.config.seed, context.voice(), context.codec(), progress)
    source = publish_prompts(prompts, context.places.prompts)
    counts = Counter(f"{item.prompt_set}{' long' if item.is_long else ''}" for item in prompts)
    return {"snapshot": source.snapshot_id, "prompts": dict(sorted(counts.items()))}


def prompt_source(context: LoopContext) -> PromptSource:
    """The stored prompts; raises `FileNotFoundError` where they were not drawn yet."""
    snapshot = SnapshotStore(context.places.prompts).current()
    if snapshot is None:
        raise FileNotFoundError(f"{context.places.prompts} holds no prompts; draw them first")
    return PromptSource(snapshot.manifest.snapshot_id, context.places.prompts)


def _prepared(
    context: LoopContext, recordings: Path, corpus: Path, config: CorpusConfig, progress: StepProgress
) -> StepResult:
    def report(state: Progress) -> None:
        progress(state.num_done, state.num_items)

    prepared = prepare_corpus(
        recordings, corpus, context.corpus_models(), config, RayExecutor(_NUM_WORKERS, batch_size=32), report
    )
    refused = [outcome for outcome in prepared.outcomes if isinstance(outcome, Refusal)]
    return {
        "snapshot": prepared.snapshot.manifest.snapshot_id,
        "num_songs": len(prepared.outcomes),
        "num_usable": len(prepared.outcomes) - len(refused),
        "refusals": dict(Counter(f"{refusal.stage}: {refusal.reason}" for refusal in refused)),
    }


def _no_progress(_done: int, _total: int) -> None:
    """A remote fit has nobody to tell."""


def _recogniser(context: LoopContext) -> str:
    return fit_recogniser(context.config.judges, context.fitting, context.voice(), _no_progress)


def _similarity(context: LoopContext) -> str:
    return fit_similarity_judge(context.config.judges, context.fitting, context.voice(), _no_progress)


def _musicality(context: LoopContext) -> StepResult:
    return asdict(fit_musicality_judge(context.config.judges, context.fitting, context.voice(), _no_progress))


def _tagger(context: LoopContext) -> str:
    return fit_tagger(context.config.judges, context.fitting, context.voice())


def _held_out(context: LoopContext) -> StepResult:
    fitted = calibrate_held_out_judges(context.config.judges, context.fitting, context.voice())
    return fitted.digests | {"truth": asdict(fitted.truth)}


def _task(fit: Callable[..., Any]) -> Any:
    return ray.remote(max_calls=1)(fit)


def _codec(context: LoopContext) -> str:
    if (context.places.models / CODEC).exists():
        return context.codec().digest
    return fit_codec(context.config.judges, context.fitting, context.voice())


def _noise(context: LoopContext, *_judges: object) -> dict[str, float]:
    """The judges' digests are asked for so that Ray waits for them."""
    noises = measure_scorer_noise(context.config.judges, context.fitting, context.voice())
    return {name: noise.standard_deviation for name, noise in noises.items()}


_LISTENERS: dict[str, Callable[[LoopContext], Any]] = {
    "recogniser": _recogniser,
    "musicality": _musicality,
    "similarity": _similarity,
    "tagger": _tagger,
    "held_out": _held_out,
}
"""The slowest first."""

_JUDGES = ("recogniser", "similarity", "musicality")
"""Those whose noise is measured."""

"""The steps before the song model: render the corpus, fit codec and judges, label the songs, draw the prompts."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray

from pipelines.corpus.embedded import CODEC
from pipelines.corpus.flow import CorpusConfig, prepare_corpus
from pipelines.corpus.roots.named import recordings_of
from pipelines.corpus.snapshot import open_corpus
from pipelines.flow.executor import Executor
from pipelines.flow.ray_executor import RayExecutor
from pipelines.flow.run import Progress
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.context import LoopContext
from pipelines.loop.fitting import (
    NOISY_JUDGES,
    calibrate_held_out_judges,
    fit_codec,
    fit_musicality_judge,
    fit_recogniser,
    fit_similarity_judge,
    fit_tagger,
    measure_scorer_noise,
    write_scorer_noise,
)
from pipelines.loop.label_quality import own_label_quality, read_truth, separation_quality
from pipelines.loop.prompts import PromptSource, draw_prompts, publish_prompts, stored_prompts
from pipelines.loop.separation_sample import write_separation_sample
from pipelines.rendered.catalogue import RenderedCorpusConfig
from pipelines.rendered.corpus import write_corpus
from reward.noise import ScorerNoise

StepProgress = Callable[[int, int], None]
StepResult = dict[str, Any]
_NUM_WORKERS = 2
_LOWEST_PRIORITY = 19


def render_corpus(context: LoopContext, progress: StepProgress) -> StepResult:
    """Write the rendered corpus as audio files and metadata, and fit the codec beside it, on songs of its own.

    The codec, whose fit takes one thread and longer, goes first.
    """
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
        niceness=_LOWEST_PRIORITY,
    )
    ray.get(codec)
    return {"num_songs": written.num_songs}


def fit_models(context: LoopContext, progress: StepProgress) -> StepResult:
    """Fit side by side everything that listens to what the codec decodes, and measure the training judges' noise.

    Each model is fitted by a Ray task on one thread, so that its numbers do not depend on the machine's cores, in a
    process of its own, which gives its memory back at its end. The slowest has a processor to itself, so that it does
    not end long after the others.
    """
    context.voice()
    results: StepResult = {"codec": ray.get(_task(_codec).remote(context))}
    fits = {name: _task(_in_turn).remote(fit, context, name != _SLOWEST) for name, fit in _LISTENERS.items()}
    noises = {name: _task(_noise).remote(context, name, fits[name]) for name in NOISY_JUDGES}
    tasks = fits | {f"noise of {name}": noise for name, noise in noises.items()}
    waiting = {task: name for name, task in tasks.items()}
    left = list(waiting)
    while left:
        ready, left = ray.wait(left, num_returns=1)
        results[waiting[ready[0]]] = ray.get(ready[0])
        progress(len(results), 1 + len(tasks))
    measured = write_scorer_noise([results.pop(f"noise of {name}") for name in noises], context.places.models)
    return results | {"noise": {name: noise.standard_deviation for name, noise in measured.items()}}


def label_corpus(context: LoopContext, progress: StepProgress) -> StepResult:
    """Run the corpus flow over the rendered songs, with their true stems."""
    return _prepared(context, context.places.songs, context.places.corpus, CorpusConfig(), progress)


def label_separation_sample(
    context: LoopContext, progress: StepProgress, executor: Executor | None = None
) -> StepResult:
    """Run the corpus flow over a sample without stems, and compare with the truth."""
    places = context.places
    truth = read_truth(places.truth)
    long_ids = frozenset(name for name, song in truth.items() if song.is_long)
    num_sample = context.config.corpus.num_separation_sample
    write_separation_sample(places.songs, long_ids, num_sample, places.separation_sample)
    result = _prepared(context, places.separation_sample, places.separated_corpus, CorpusConfig(), progress, executor)
    quality = separation_quality(open_corpus(places.separated_corpus), truth, places.songs)
    own = own_label_quality(open_corpus(places.corpus).songs, truth, context.lexicon())
    return result | {"separation": asdict(quality), "own_labels": asdict(own)}


def label_recordings(context: LoopContext, recordings: Path, progress: StepProgress) -> StepResult:
    """Run the corpus flow over real recordings, all of whose stems and labels are the flow's own."""
    return _prepared(context, recordings, context.places.recordings_corpus, CorpusConfig(), progress)


def make_prompts(context: LoopContext, progress: StepProgress) -> StepResult:
    """Draw and store the prompts of all sets, unless they are there."""
    if SnapshotStore(context.places.prompts).current() is None:
        prompts = draw_prompts(context.config.prompts, context.config.seed, context.voice(), context.codec(), progress)
        publish_prompts(prompts, context.places.prompts)
    source = prompt_source(context)
    counts = Counter(f"{row.prompt_set}{' long' if row.is_long else ''}" for row in source.rows())
    return {"snapshot": source.snapshot_id, "prompts": dict(sorted(counts.items()))}


def prompt_source(context: LoopContext) -> PromptSource:
    """The stored prompts; raises `FileNotFoundError` where they were not drawn yet."""
    return stored_prompts(context.places.prompts)


def _prepared(
    context: LoopContext,
    recordings: Path,
    corpus: Path,
    config: CorpusConfig,
    progress: StepProgress,
    executor: Executor | None = None,
) -> StepResult:
    def report(state: Progress) -> None:
        progress(state.num_done, state.num_items)

    prepared = prepare_corpus(
        recordings_of(recordings),
        corpus,
        context.corpus_models(),
        config,
        executor or RayExecutor(_NUM_WORKERS, batch_size=32),
        report,
    )
    tally = prepared.tally
    return {
        "snapshot": prepared.snapshot.manifest.snapshot_id,
        "num_songs": tally.num_recordings,
        "num_usable": tally.num_songs,
        "refusals": {f"{stage}: {reason}": count for (stage, reason), count in tally.refusals.items()},
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


def _in_turn(fit: Callable[[LoopContext], Any], context: LoopContext, gives_way: bool) -> Any:
    """Fit; where it gives way, with what the slowest leaves of the processors."""
    if gives_way:
        os.nice(_LESS)
    return fit(context)


def _noise(context: LoopContext, judge: str, _fitted: object) -> ScorerNoise:
    """What the judge's fit gave is asked for so that Ray waits for it."""
    return measure_scorer_noise(judge, context.config.judges, context.fitting, context.voice())


_LISTENERS: dict[str, Callable[[LoopContext], Any]] = {
    "recogniser": _recogniser,
    "musicality": _musicality,
    "similarity": _similarity,
    "tagger": _tagger,
    "held_out": _held_out,
}
"""The slowest first."""
_SLOWEST = next(iter(_LISTENERS))
_LESS = 4
"""Steps of priority below the slowest's: about two fifths of its share."""

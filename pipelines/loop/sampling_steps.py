"""Sampling steps: songs of every model from one Ray Serve service, and the rendered songs of the control."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from levo.codec.stems import stems_of
from levo.model.sampling.request import SampledSong, SamplingRequest
from levo.model.store import model_digest
from levo.song.prompt import PromptSet
from pipelines.loop.config import SamplingConfig
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import StepProgress, StepResult
from pipelines.loop.model_names import CONTROL
from pipelines.loop.model_pointer import read_pointer
from pipelines.loop.prompt_trial import Asking
from pipelines.loop.prompts import plan_of_prompt
from pipelines.loop.records import CandidateRow
from pipelines.loop.sampling import num_songs, sample_candidates
from pipelines.loop.serving import SamplingService, ServingConfig, running_sampling, start_sampling, stop_sampling
from pipelines.loop.song_sets import SongSet, candidates_of, prompts_of, publish_candidates, songs_per_prompt
from pipelines.rendered.song import render_song


class ServedSampler:
    """A `Sampler` over Ray Serve, on the model that the service was last told to run."""

    def __init__(self, service: SamplingService, model_digest: str) -> None:
        self._service = service
        self._model_digest = model_digest

    def sample(self, requests: Sequence[SamplingRequest], progress: Callable[[int, int], None]) -> list[SampledSong]:
        """Draw every request's song."""
        return self._service.sample(requests, progress, self._model_digest)


def sample_sets(
    context: LoopContext, sets: Sequence[SongSet], progress: StepProgress, *, more_follow: bool = False
) -> StepResult:
    """Sample every set that is not there yet, one model after the other on one service.

    The service stops at the end, so that a fit that follows finds its processors free; where `more_follow` it is left
    for the next call to go on with.
    """
    sizes = {one: _num_songs(context, one) for one in sets}
    waiting = [one for one in sets if candidates_of(context, one) is None]
    done, total = sum(sizes[one] for one in sets if one not in waiting), sum(sizes.values())
    if waiting:
        with _service(context, context.places.lelm(waiting[0].model), more_follow) as service:
            for one in waiting:
                _sing(service, context.places.lelm(one.model).resolve())
                _sample_set(context, one, service, _shifted(progress, done, total))
                done += sizes[one]
    return {"num_songs": total, "sets": [one.name for one in sets]}


def render_control(context: LoopContext, progress: StepProgress) -> StepResult:
    """The songs that the report prompts were taken from, rendered and tokenized: what no model can be better than."""
    song_set = SongSet(CONTROL, PromptSet.REPORT)
    if candidates_of(context, song_set) is None:
        voice, codec = context.voice(), context.codec()
        prompts = prompts_of(context, song_set)
        rows = []
        for prompt in prompts:
            song = render_song(
                plan_of_prompt(prompt.prompt_id, prompt.is_long, context.config.seed, context.config.world), voice
            )
            tokens = codec.encode(stems_of(song))
            rows.append(
                CandidateRow(
                    candidate_id=f"{prompt.prompt_id}/0/{CONTROL}",
                    prompt_id=prompt.prompt_id,
                    seed=0,
                    model_digest=codec.digest,
                    ended=True,
                    lyrics=prompt.lyrics,
                    tags=prompt.tags,
                    codes=tokens.codes,
                )
            )
            progress(len(rows), len(prompts))
        publish_candidates(context, song_set, rows)
    return {"sets": [song_set.name]}


def serving_config(sampling: SamplingConfig) -> ServingConfig:
    """The service that a recipe samples with."""
    return ServingConfig(
        length_classes=sampling.length_classes,
        num_replicas=sampling.num_replicas,
        num_cpus=sampling.threads_per_replica,
        num_threads=sampling.threads_per_replica,
        num_gpus=1 if sampling.use_gpu else 0,
        device="cuda" if sampling.use_gpu else "cpu",
    )


@contextmanager
def _service(context: LoopContext, first_model: Path, more_follow: bool) -> Iterator[SamplingService]:
    """The service that is left from an earlier step, or a new one; after an error it stops in any case."""
    config = serving_config(context.config.sampling)
    pointer = context.places.folder / "serving" / "model"
    is_kept = False
    try:
        yield running_sampling(config, pointer) or start_sampling(config, first_model.resolve(), pointer)
        is_kept = more_follow
    finally:
        if not is_kept:
            stop_sampling()


def _sing(service: SamplingService, model: Path) -> None:
    """Have the service sing by a model, unless it does."""
    if read_pointer(service.pointer) != model:
        service.swap_model(model)


def _sample_set(context: LoopContext, song_set: SongSet, service: SamplingService, progress: StepProgress) -> None:
    expected = model_digest(context.places.lelm(song_set.model))
    songs = sample_candidates(
        ServedSampler(service, expected),
        prompts_of(context, song_set),
        songs_per_prompt(context, song_set),
        context.config.seed,
        context.config.sampling.parameters,
        progress,
    )
    strangers = {song.model_digest for song in songs} - {expected}
    if strangers:
        raise RuntimeError(f"set {song_set.name}: songs of the models {sorted(strangers)}; expected {expected}")
    if song_set.asking is not Asking.WHOLE:
        songs = [replace(song, candidate_id=f"{song.candidate_id}/{song_set.asking}") for song in songs]
    publish_candidates(context, song_set, songs)


def _num_songs(context: LoopContext, song_set: SongSet) -> int:
    num_per_prompt = songs_per_prompt(context, song_set)
    return sum(num_songs(prompt, num_per_prompt) for prompt in prompts_of(context, song_set))


def _shifted(progress: StepProgress, done: int, total: int) -> StepProgress:
    return lambda count, _: progress(done + count, total)

"""The slides' ablation of the stages: two models trained beside the base, and the base's songs from their mixed stream.

Both models see the base's corpus for as many steps as the base's stages 1 and 2 together. Without stage 2 the base's
own untrained model learns both towers at once. Without AR decoder the decoder's layers stand in the language model,
whose states, bridged with the last track codes, the heads of vocal and accompaniment read: as deep and as large as the
base, but without a tower of their own. Without dual-track nothing is trained: the base's songs are decoded from the
mixed stream that its language model sang.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from levo.model.config import LeLMConfig
from levo.model.construction import new_lelm
from levo.model.store import load_config, model_digest, save_model
from levo.song.prompt import PromptSet
from levo.training.phases import PhaseConfig, Stage
from pipelines.loop.context import LoopContext
from pipelines.loop.data_steps import StepProgress, StepResult
from pipelines.loop.model_names import BASE, INITIAL
from pipelines.loop.model_steps import CurveCallback, base_phases, phase_facts, publish_model, train_phases
from pipelines.loop.records import CandidateRow
from pipelines.loop.sampling_steps import sample_sets
from pipelines.loop.scoring_steps import score_sets, score_songs, sound_folder
from pipelines.loop.separated_decoding import DecodeAndSeparate, DecodedFrom
from pipelines.loop.song_sets import SongSet, candidates_of, prompts_of, publish_candidates, publish_scores, scores_of

WITHOUT_STAGE_2, WITHOUT_AR_DECODER, WITHOUT_DUAL_TRACK = "without-stage-2", "without-ar-decoder", "without-dual-track"
BASE_SEPARATED = "base-separated"
"""The base's songs through the separator that those without dual-track need: what they are compared with."""
TRAINING_STEP = "stages-train"
TRAINED = (WITHOUT_STAGE_2, WITHOUT_AR_DECODER)
_DECODED = {WITHOUT_DUAL_TRACK: DecodedFrom.MIXED, BASE_SEPARATED: DecodedFrom.TRACKS}
_BASE_SONGS = SongSet(BASE, PromptSet.REPORT)


def train_stage_ablation(context: LoopContext, progress: StepProgress, on_log: CurveCallback) -> StepResult:
    """Train both models, each from nothing, as phases of one fit."""
    phases = base_phases(context)
    first = {WITHOUT_STAGE_2: context.places.lelm(INITIAL), WITHOUT_AR_DECODER: _initial_without_decoder(context)}
    runs = {name: joint_phases(phases, name, first[name]) for name in TRAINED}
    results = train_phases(context, [one for name in TRAINED for one in runs[name]], TRAINING_STEP, progress, on_log)
    folders = {result.name: result.model_folder for result in results}
    for name in TRAINED:
        publish_model(folders[runs[name][-1].name], context.places.lelm(name))
    return {
        "models": {name: model_digest(context.places.lelm(name)) for name in TRAINED},
        "num_steps": {BASE: num_steps(phases), **{name: num_steps(runs[name]) for name in TRAINED}},
        "phases": [phase_facts(result) for result in results],
    }


def joint_phases(phases: Sequence[PhaseConfig], name: str, init_model: Path) -> list[PhaseConfig]:
    """The phases of stage 1 with everything trained at once, the last one longer by the steps of stage 2.

    One schedule for one stage: a second warm-up to the rate of a new tower would disturb two that are trained already.
    Raises `ValueError` where the phases are not those of stage 1, followed by those of stage 2.
    """
    stages = [phase.stage for phase in phases]
    num_first = stages.count(Stage.PRETRAIN)
    if not num_first or stages != [Stage.PRETRAIN] * num_first + [Stage.EXTEND] * (len(stages) - num_first):
        raise ValueError(f"the stages are {[str(stage) for stage in stages]}; expected pretrain, then extend")
    more = num_steps(phases[num_first:])
    joint = [
        replace(phase, name=f"{name}-{phase.name}", stage=Stage.JOINT, init_model=None) for phase in phases[:num_first]
    ]
    joint[-1] = replace(joint[-1], num_steps=joint[-1].num_steps + more)
    return [replace(joint[0], init_model=init_model), *joint[1:]]


def num_steps(phases: Sequence[PhaseConfig]) -> int:
    """Optimiser steps of all phases."""
    return sum(phase.num_steps for phase in phases)


def without_decoder(config: LeLMConfig) -> LeLMConfig:
    """The same number of layers, all of them in the language model."""
    return replace(config, num_layers=config.num_layers + config.num_decoder_layers, num_decoder_layers=0)


def sample_stage_ablation(context: LoopContext, progress: StepProgress) -> StepResult:
    """Songs of both models for the report prompts; each has a service, since they differ in shape."""
    sampled = [sample_sets(context, [SongSet(name, PromptSet.REPORT)], progress) for name in TRAINED]
    return {
        "num_songs": sum(one["num_songs"] for one in sampled),
        "sets": [name for one in sampled for name in one["sets"]],
    }


def score_stage_ablation(context: LoopContext, progress: StepProgress) -> StepResult:
    """All judges' scores of both models' songs, and of the base's short songs decoded to one sound and separated."""
    sets = {name: SongSet(name, PromptSet.REPORT) for name in (*TRAINED, *_DECODED)}
    score_sets(context, [sets[name] for name in TRAINED], progress)
    for name, source in _DECODED.items():
        song_set = sets[name]
        if scores_of(context, song_set) is None:
            songs = _base_songs(context, name)
            publish_candidates(context, song_set, songs)
            publish_scores(context, song_set, score_songs(context, songs, True, progress, _decoding(context, source)))
    return {"sets": [one.name for one in sets.values()]}


def _initial_without_decoder(context: LoopContext) -> Path:
    folder = context.places.lelm(f"{INITIAL}-{WITHOUT_AR_DECODER}")
    config = without_decoder(load_config(context.places.lelm(INITIAL)))
    model = new_lelm(config, context.config.seed, table_std=context.config.training.table_std)
    save_model(model, context.places.tokenizer, folder)
    return folder


def _base_songs(context: LoopContext, name: str) -> list[CandidateRow]:
    """The base's songs for the short report prompts, under ids of their own."""
    songs = candidates_of(context, _BASE_SONGS)
    if songs is None:
        raise ValueError(f"the set {_BASE_SONGS.name} has no songs; sample them first")
    short = {row.prompt_id for row in prompts_of(context, _BASE_SONGS) if not row.is_long}
    return [replace(song, candidate_id=f"{song.candidate_id}/{name}") for song in songs if song.prompt_id in short]


def _decoding(context: LoopContext, source: DecodedFrom) -> DecodeAndSeparate:
    models = context.corpus_models()
    return DecodeAndSeparate(context.audio_places(sound_folder(context)), models.codec, models.separator, source)

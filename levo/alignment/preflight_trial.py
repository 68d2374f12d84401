"""The preflight of a preference run: its pairs looked at, its reference checked, a few steps tried on some pairs."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from levo.alignment.in_process import run_phases_in_process
from levo.alignment.pairs import PairStore, write_pairs
from levo.alignment.preflight import (
    LIMITS,
    PairRewards,
    PreflightLimits,
    PreflightReport,
    judge_pairs,
    judge_start,
    judge_trial,
    pair_facts,
)
from levo.alignment.reference import SongLogProbability
from levo.alignment.song_probability import compute_log_probabilities
from levo.alignment.trial_config import SHORT_TRIAL, TrialConfig
from levo.model.store import load_model
from levo.training.encoded import encoded_conditions
from levo.training.freezing import NothingMovedError
from levo.training.loop import NonFiniteGradientError
from levo.training.phases import PhaseConfig, PreferenceOptions, Stage
from levo.training.precision import in_precision


def preflight(
    phase: PhaseConfig,
    gains: Mapping[str, float],
    reference: Mapping[str, SongLogProbability],
    folder: Path,
    trial: TrialConfig = SHORT_TRIAL,
    *,
    limits: PreflightLimits = LIMITS,
    max_frames: int | None = None,
    device: torch.device | str = "cpu",
) -> PreflightReport:
    """Examine a DPO phase that is about to be run, in an empty `folder` that may be removed afterwards.

    `gains` are by pair id how much better the chosen song is by the pair's own metric, counted in the direction that is
    better. `reference` are the log-probabilities by song digest that the run will read; songs that it lacks are left
    out here, as the run will compute them by its own policy. Training sees the first `max_frames` frames of a song.
    Raises ValueError for a phase of another stage or without an initial model.
    """
    if phase.stage is not Stage.DPO or phase.init_model is None:
        raise ValueError(
            f"phase {phase.name} is {phase.stage.value} from {phase.init_model}; expected DPO from a model"
        )
    pairs = PairStore(phase.data)
    report = judge_pairs(pair_facts(pairs, gains, max_frames), limits)
    chosen = _some(len(pairs), trial)
    some = write_pairs((pairs[index] for index in chosen), folder / "pairs")
    before = _log_probabilities(phase, phase.init_model, some, folder, trial, device)
    report += _judge_reference(phase.preference, some, before, reference, limits)
    try:
        (result,) = run_phases_in_process(
            [_trial_phase(phase, some, trial)], folder / "trial", lambda *_: None, device=device
        )
    except (NothingMovedError, NonFiniteGradientError) as error:
        return report + PreflightReport((f"stuck: the trial does not train: {error}",))
    after = _log_probabilities(phase, result.model_folder, some, folder, trial, device)
    return report + judge_trial(_rewards(phase.preference, some, after, before), limits)


def _some(num_pairs: int, trial: TrialConfig) -> list[int]:
    """A seeded choice, in the store's order."""
    return sorted(random.Random(trial.seed).sample(range(num_pairs), min(num_pairs, trial.num_pairs)))


def _trial_phase(phase: PhaseConfig, pairs: PairStore, trial: TrialConfig) -> PhaseConfig:
    """The same phase on few pairs, at its highest learning rate from the first step to the last."""
    rows = min(phase.batch_rows, len(pairs))
    return replace(
        phase,
        name="preflight",
        data=pairs.folder,
        num_steps=trial.num_steps,
        batch_rows=rows,
        micro_batches=phase.micro_batches if rows % phase.micro_batches == 0 else 1,
        warmup_steps=0,
        min_learning_rate_ratio=1.0,
        log_every=trial.num_steps,
        checkpoint_every=trial.num_steps,
    )


def _judge_reference(
    options: PreferenceOptions,
    pairs: PairStore,
    policy: Mapping[str, SongLogProbability],
    reference: Mapping[str, SongLogProbability],
    limits: PreflightLimits,
) -> PreflightReport:
    known = [
        index
        for index in range(len(pairs))
        if all(pairs.songs.digests[side[index]] in reference for side in (pairs.chosen, pairs.rejected))
    ]
    share = len(known) / len(pairs)
    report = PreflightReport(measures={"reference_share": share})
    if not known:
        return report
    return report + judge_start(_rewards(options, pairs, policy, reference, known), limits)


def _rewards(
    options: PreferenceOptions,
    pairs: PairStore,
    policy: Mapping[str, SongLogProbability],
    reference: Mapping[str, SongLogProbability],
    places: Sequence[int] | None = None,
) -> PairRewards:
    """Beta times the log-ratio of both songs of the pairs at `places`, or of all."""

    def value(song: SongLogProbability) -> float:
        return song.per_token if options.length_normalised else song.total

    def rewards(side: Sequence[int]) -> list[float]:
        digests = [pairs.songs.digests[song] for song in side]
        return [options.beta * (value(policy[digest]) - value(reference[digest])) for digest in digests]

    chosen_places = range(len(pairs)) if places is None else places
    return PairRewards(
        np.array(rewards([int(pairs.chosen[place]) for place in chosen_places]), np.float64),
        np.array(rewards([int(pairs.rejected[place]) for place in chosen_places]), np.float64),
    )


def _log_probabilities(
    phase: PhaseConfig,
    model_folder: Path,
    pairs: PairStore,
    folder: Path,
    trial: TrialConfig,
    device: torch.device | str,
) -> dict[str, SongLogProbability]:
    """Every song's log-probability under a model, in the run's own precision."""
    model = load_model(model_folder, device=device).model
    conditions = encoded_conditions(pairs.songs, model_folder, folder / "conditions")
    found = compute_log_probabilities(
        in_precision(model, phase.precision, model.device),
        model.config,
        pairs.songs,
        conditions,
        range(len(pairs.songs)),
        trial.batch_rows,
        chunked=phase.chunked_loss,
    )
    return {song.song_digest: song for song in found}

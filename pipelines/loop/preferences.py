"""Preferences of a run: pairs on each axis from scored candidates, and the stores that alignment trains on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from levo.alignment.pairs import PairExample, PairStore, write_pairs
from levo.song.candidate import PreferencePair
from levo.song.schema import table_of
from levo.song.scores import Axis
from levo.training.phases import NO_DROPOUT, PhaseConfig, PreferenceOptions, Stage, steps_for_epochs
from levo.training.precision import Precision
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.config import AlignmentConfig
from pipelines.loop.metrics import PAIR_METRIC
from pipelines.loop.records import CandidateRow, PromptRow, ScoredRow
from pipelines.loop.sampling import conditions_of
from reward.noise import ScorerNoise
from reward.pairing import Pairing, PairingRule, make_pairs

MIXED, PAIRS = "mixed", "pairs"
_BUCKET_BATCHES = 16


def pair_candidates(
    scored: Sequence[ScoredRow], config: AlignmentConfig, noises: Mapping[str, ScorerNoise], model_digest: str
) -> dict[Axis, Pairing]:
    """The pairs of every axis, each by its own training judge, margin and noise."""
    candidates = [row.candidate for row in scored]
    pairings = {}
    for axis, metric in PAIR_METRIC.items():
        rule = PairingRule(axis, metric, config.margins[axis], config.noise_multiple, config.pairs_per_prompt)
        pairings[axis] = make_pairs(candidates, rule, noises[metric.name], model_digest)
    return pairings


def publish_pairs(folder: Path, pairs: Sequence[PreferencePair]) -> None:
    """Store pairs with their provenance as a snapshot."""
    SnapshotStore(folder).publish({PAIRS: table_of(pairs, PreferencePair)}, {})


def write_preferences(
    pairs: Sequence[PreferencePair],
    prompts: Mapping[str, PromptRow],
    candidates: Mapping[str, CandidateRow],
    folder: Path,
) -> PairStore:
    """Store pairs with their songs and conditions, ready to train on."""
    return write_pairs((_example(pair, prompts[pair.prompt_id], candidates) for pair in pairs), folder)


def preference_phase(
    name: str,
    store: PairStore,
    base: Path,
    config: AlignmentConfig,
    learning_rate: float,
    seed: int,
    precision: Precision,
) -> PhaseConfig:
    """One DPO run over a store, `epochs` times through it."""
    num_steps = steps_for_epochs(len(store), config.batch_size, config.epochs)
    return PhaseConfig(
        name=name,
        stage=Stage.DPO,
        data=store.folder,
        num_steps=num_steps,
        batch_rows=config.batch_size,
        learning_rate=learning_rate,
        seed=seed,
        warmup_steps=max(1, num_steps // 10),
        dropout=NO_DROPOUT,
        precision=precision,
        preference=PreferenceOptions(beta=config.beta),
        init_model=base,
        checkpoint_every=max(10, num_steps // 2 // 10 * 10),
        log_every=1 if num_steps < 10 else 5,
        # A bucket beyond an epoch would put a pair twice into a batch.
        bucket_batches=min(_BUCKET_BATCHES, max(1, len(store) // config.batch_size)),
    )


def _example(pair: PreferencePair, prompt: PromptRow, candidates: Mapping[str, CandidateRow]) -> PairExample:
    conditions = conditions_of(prompt)
    chosen, rejected = candidates[pair.chosen_id], candidates[pair.rejected_id]
    return PairExample(
        pair_id=pair.pair_id,
        lyrics=conditions.lyrics,
        description=conditions.description,
        audio_prompt=prompt.audio_prompt,
        chosen=chosen.codes,
        rejected=rejected.codes,
        chosen_ended=chosen.ended,
        rejected_ended=rejected.ended,
    )

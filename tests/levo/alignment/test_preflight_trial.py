"""The preflight over a store and a model: silent on a healthy run, and each fault found where it was made."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levo.alignment.pairs import PairExample, PairStore, write_pairs
from levo.alignment.preflight import PreflightReport
from levo.alignment.preflight_trial import preflight
from levo.alignment.reference import SongLogProbability
from levo.alignment.song_probability import compute_log_probabilities
from levo.alignment.trial_config import TrialConfig
from levo.model.construction import new_lelm
from levo.model.store import load_config, load_model, save_model
from levo.training.encoded import encoded_conditions
from levo.training.examples import TrainingExample
from levo.training.phases import NO_DROPOUT, PhaseConfig, PreferenceOptions, Stage
from levo.training.precision import Precision

Reference = dict[str, SongLogProbability]
NUM_PAIRS = 12
TRIAL = TrialConfig(num_steps=4, num_pairs=8)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[[int], TrainingExample]) -> PairStore:
    """Pairs of which the better song holds low codes; one as often as the other is the longer one."""

    def pair(number: int) -> PairExample:
        prompt, generator = make_song(number), np.random.default_rng(number)
        chosen, rejected = (
            generator.integers(low, low + 12, (3, num_frames)).astype(np.int32)
            for low, num_frames in ((0, 10 + number % 2), (12, 11 - number % 2))
        )
        return PairExample(f"{number}", prompt.lyrics, prompt.description, prompt.audio_prompt, chosen, rejected)

    return write_pairs(map(pair, range(NUM_PAIRS)), tmp_path_factory.mktemp("preflight") / "pairs")


@pytest.fixture
def dpo(pairs: PairStore, tiny_model: Path) -> PhaseConfig:
    return PhaseConfig(
        name="dpo",
        stage=Stage.DPO,
        data=pairs.folder,
        num_steps=100,
        batch_rows=4,
        micro_batches=2,
        learning_rate=1e-3,
        seed=0,
        warmup_steps=50,
        dropout=NO_DROPOUT,
        init_model=tiny_model,
    )


def log_probabilities(model: Path, pairs: PairStore, cache: Path) -> Reference:
    loaded, conditions = load_model(model).model, encoded_conditions(pairs.songs, model, cache)
    places = range(len(pairs.songs))
    found = compute_log_probabilities(loaded, loaded.config, pairs.songs, conditions, places, batch_rows=5)
    return {song.song_digest: song for song in found}


@pytest.fixture(scope="module")
def reference(pairs: PairStore, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return log_probabilities(tiny_model, pairs, tmp_path_factory.mktemp("cache"))


def gains(value: float = 1.0) -> dict[str, float]:
    return {f"{number}": value for number in range(NUM_PAIRS)}


def kinds(report: PreflightReport) -> list[str]:
    return [text.partition(":")[0] for text in report.problems]


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16])
@pytest.mark.parametrize("length_normalised", [False, True])
def test_a_healthy_run_is_let_pass_in_silence(
    dpo: PhaseConfig, reference: Reference, tmp_path: Path, precision: Precision, length_normalised: bool
) -> None:
    options = PreferenceOptions(10.0 if length_normalised else 0.1, length_normalised)
    phase = replace(dpo, precision=precision, preference=options)
    report = preflight(phase, gains(), reference, tmp_path, TRIAL)
    assert (report.problems, report.warnings) == ((), ())
    assert report.measures["reference_share"] == 1.0
    assert report.measures["trial_accuracy"] == 1.0


def test_the_log_probabilities_of_another_model_are_no_reference(
    dpo: PhaseConfig, pairs: PairStore, tiny_model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    save_model(new_lelm(load_config(tiny_model), seed=1), tiny_model / "tokenizer", other)
    report = preflight(dpo, gains(), log_probabilities(other, pairs, tmp_path / "cache"), tmp_path / "trial", TRIAL)
    assert kinds(report) == ["reference"]


def test_songs_that_the_reference_lacks_are_counted_and_not_judged(
    dpo: PhaseConfig, reference: Reference, tmp_path: Path
) -> None:
    report = preflight(dpo, gains(), {}, tmp_path / "none", TRIAL)
    assert report.is_ready
    assert report.measures["reference_share"] == 0.0
    assert "initial_reward" not in report.measures


@pytest.mark.parametrize("learning_rate", [0.0, 1e-9])
def test_a_learning_rate_that_is_too_small_is_stuck(
    dpo: PhaseConfig, reference: Reference, tmp_path: Path, learning_rate: float
) -> None:
    report = preflight(replace(dpo, learning_rate=learning_rate), gains(), reference, tmp_path, TRIAL)
    assert kinds(report) == ["stuck"]


def test_swapped_pairs_are_found_though_the_trial_learns_them(
    dpo: PhaseConfig, reference: Reference, tmp_path: Path
) -> None:
    report = preflight(dpo, gains(-0.5), reference, tmp_path, TRIAL)
    assert kinds(report) == ["swapped pairs"]
    assert report.measures["trial_accuracy"] == 1.0


def test_what_is_tried_is_chosen_by_the_seed_alone(dpo: PhaseConfig, reference: Reference, tmp_path: Path) -> None:
    first, again = (preflight(dpo, gains(), reference, tmp_path / name, TRIAL) for name in ("first", "again"))
    other = preflight(dpo, gains(), reference, tmp_path / "other", replace(TRIAL, seed=1))
    assert first == again
    assert other.measures["trial_loss"] != first.measures["trial_loss"]


def test_nothing_but_a_preference_run_is_examined(dpo: PhaseConfig, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="phase dpo is sft"):
        preflight(replace(dpo, stage=Stage.SFT), {}, {}, tmp_path)
    with pytest.raises(ValueError, match="from None"):
        preflight(replace(dpo, init_model=None), {}, {}, tmp_path)
    with pytest.raises(ValueError, match="num_steps is 0"):
        TrialConfig(num_steps=0)

"""A full disk under each step of the loop that writes: its error names the place, nothing half-written stays.

Each step is given files of at most a few hundred bytes, then more and more until it is through; what it leaves then is
what an undisturbed one leaves.
"""

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

from jobs.recipes.loop import tiny
from jobs.report.data import ReportData, save_report_data
from jobs.report.page import write_report
from jobs.summary import AUDIO_PROMPT_ROWS, MODEL_ROWS, MetricFacts, Summary, missing_measurement, write_summary
from levo.alignment.in_process import run_phases_in_process
from levo.alignment.interpolation import WeightedModel, merge_models
from levo.alignment.pairs import PairExample, write_pairs
from levo.codec.storage import StoredModel, save_stored
from levo.model.store import load_model, save_model
from levo.model.tokenizer import build_tokenizer
from levo.song.candidate import PreferencePair
from levo.song.digest import digest_file
from levo.song.files import DiskError, copy_folder
from levo.song.prompt import PromptSet, SongPrompt
from levo.song.scores import Axis, Score
from levo.song.tokens import TokenGrid
from levo.training.encoded import encoded_conditions
from levo.training.examples import ExampleStore, TrainingExample, write_examples
from levo.training.phases import PhaseConfig, Stage
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.flow.resources import ResourceMonitor
from pipelines.flow.run_folder import RunFolder
from pipelines.loop.context import LoopContext
from pipelines.loop.places import RunPlaces
from pipelines.loop.preferences import publish_pairs
from pipelines.loop.prompts import RunPrompt, publish_prompts
from pipelines.loop.records import CandidateRow, ScoredRow
from pipelines.loop.song_sets import PAIR_SONGS, publish_candidates, publish_scores
from pipelines.rendered.plan import plan_song
from pipelines.rendered.world import WorldConfig

SmallDisk = Callable[[int], AbstractContextManager[None]]
LIMITS_BYTES = (256, 1024, 4096, 16384, 65536, 262144)
# What a rerun writes again with other times in it.
TIMED = ("result.json", "metrics.jsonl", "render.json")
GENERATOR = np.random.default_rng(0)
CODES = GENERATOR.integers(0, 24, (64, 3, 40)).astype(np.int32)
EXAMPLES = [
    TrainingExample(f"song-{number}", codes[:, : 20 + number % 9], "[verse] sun moon.", "rain, wind", codes[:, :6])
    for number, codes in enumerate(CODES[:32])
]
PAIRS = [
    PairExample(f"pair-{number}", "[verse] moon.", "wind", CODES[number, :, :6], CODES[number], CODES[number + 32])
    for number in range(32)
]


def save_song_model(out: Path, model: Path) -> None:
    save_model(load_model(model).model, model / "tokenizer", out / "lelm" / "initial")


def save_tokenizer(out: Path, model: Path) -> None:
    build_tokenizer([f"word{number}" for number in range(100)], out / "tokenizer")


def save_judge(out: Path, model: Path) -> None:
    save_stored(StoredModel("judge", {"width": 3}, {"weights": CODES.astype(np.float32)}), out / "models" / "judge")


def publish_some_prompts(out: Path, model: Path) -> None:
    plans = [plan_song(f"prompt-{number}", 0, WorldConfig()) for number in range(8)]
    publish_prompts(
        [
            RunPrompt(
                SongPrompt(plan.song_id, plan.lyrics, plan.description, TokenGrid(CODES[0]), 50),
                PromptSet.PAIR,
                plan,
                is_long=False,
            )
            for plan in plans
        ],
        out / "prompts",
    )


def publish_some_candidates(out: Path, model: Path) -> None:
    rows = [
        CandidateRow(f"song/{number}", "p", number, "digest", True, "[verse] sun.", ("dark",), codes)
        for number, codes in enumerate(CODES)
    ]
    publish_candidates(LoopContext(tiny(), RunPlaces(out)), PAIR_SONGS, rows)


def publish_some_scores(out: Path, model: Path) -> None:
    audio = AudioReference(AudioPlace.OBJECTS, "a.flac", "0" * 64, 10)
    rows = [
        ScoredRow(
            candidate_id=f"song/{number}",
            prompt_id="p",
            audio=audio,
            duration_s=1.6,
            heard_phonemes=("m", "u"),
            heard_words=("moo",),
            heard_tags=("dark",),
            scores={"phoneme_error_rate": Score(number / 100)},
        )
        for number in range(64)
    ]
    publish_scores(LoopContext(tiny(), RunPlaces(out)), PAIR_SONGS, rows)


def publish_some_pairs(out: Path, model: Path) -> None:
    pairs = [
        PreferencePair(f"x{number}", Axis.LYRIC, "p", f"{number}", "b", "per", 0.1, 0.3, 0.2, 0.05, 0.1, "s", "m")
        for number in range(200)
    ]
    publish_pairs(out / "pairs", pairs)


def write_pair_examples(out: Path, model: Path) -> None:
    write_pairs(PAIRS, out / "training" / "pairs" / "lyric")


def write_training_examples(out: Path, model: Path) -> None:
    write_examples(EXAMPLES, out / "training" / "examples" / "studio")


def encode_conditions(out: Path, model: Path) -> None:
    store = out.parent / f"{out.name}-examples"
    examples = ExampleStore(store) if store.exists() else write_examples(EXAMPLES, store)
    encoded_conditions(examples, model, out / "cache")


def train(out: Path, model: Path) -> None:
    store = out.parent / f"{out.name}-examples"
    if not store.exists():
        write_examples(EXAMPLES, store)
    phase = PhaseConfig(
        name="pretrain",
        stage=Stage.PRETRAIN,
        data=store,
        num_steps=6,
        batch_rows=4,
        learning_rate=3e-3,
        warmup_steps=2,
        seed=1,
        init_model=model,
        log_every=1,
        checkpoint_every=2,
    )
    run_phases_in_process([phase], out / "training" / "base", lambda *_: None, peak_operations_per_s=1e9)


def publish_trained_model(out: Path, model: Path) -> None:
    copy_folder(model, out / "lelm" / "base")


def merge(out: Path, model: Path) -> None:
    merge_models([WeightedModel(model, 0.4), WeightedModel(model, 0.6)], out / "lelm" / "mixed")


def finish_a_step(out: Path, model: Path) -> None:
    RunFolder(out, {"seed": 0, "words": ["word"] * 50}).run_step(
        "render", {}, lambda: {"songs": list(range(500))}, ResourceMonitor()
    )


def some_summary() -> Summary:
    facts = {"phoneme_error_rate": MetricFacts("lower", "errors per phoneme", "training")}
    models = {name: {"phoneme_error_rate": missing_measurement("not sampled")} for name in MODEL_ROWS}
    trial = dict.fromkeys(AUDIO_PROMPT_ROWS, missing_measurement("not sampled"))
    return Summary("tiny", 0, {"torch": "2"}, (), facts, models, trial, 0)


def summarise(out: Path, model: Path) -> None:
    write_summary(some_summary(), out / "summary.json")


def report(out: Path, model: Path) -> None:
    nothing = ((),) * 10
    data = ReportData("title", "2026-11-20", "a machine", some_summary(), *nothing)
    save_report_data(data, out / "report")
    write_report(data, out / "report", out / "report.html")


STEPS: dict[str, Callable[[Path, Path], None]] = {
    "song model": save_song_model,
    "tokenizer": save_tokenizer,
    "codec and judges": save_judge,
    "prompts": publish_some_prompts,
    "examples": write_training_examples,
    "encoded conditions": encode_conditions,
    "training with checkpoints": train,
    "trained model": publish_trained_model,
    "candidates": publish_some_candidates,
    "scores": publish_some_scores,
    "pairs": publish_some_pairs,
    "pairs to train on": write_pair_examples,
    "merge": merge,
    "step record": finish_a_step,
    "summary": summarise,
    "report": report,
}


def whole(folder: Path) -> dict[str, str]:
    """Every file's digest, but for those that name times."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    return {name: "" if path.name in TIMED else digest_file(path) for name, path in files.items()}


@pytest.mark.parametrize("step", STEPS)
def test_a_full_disk_is_named_nothing_half_written_stays_and_the_next_run_goes_on(
    step: str, tmp_path: Path, tiny_model: Path, small_disk: SmallDisk
) -> None:
    act, out = STEPS[step], tmp_path / "run"
    act(tmp_path / "undisturbed", tiny_model)
    refusals: list[DiskError] = []
    for limit in LIMITS_BYTES:
        try:
            with small_disk(limit):
                act(out, tiny_model)
            break
        except DiskError as refusal:
            refusals.append(refusal)
            half_written = list(out.rglob("*.partial*"))
            assert half_written == []
    else:
        act(out, tiny_model)
    assert refusals
    assert {refusal.errno for refusal in refusals} <= {errno.EFBIG, errno.ENOSPC}
    assert [str(refusal) for refusal in refusals if not str(refusal).startswith(f"cannot write {out}")] == []
    assert whole(out) == whole(tmp_path / "undisturbed")

"""A run's folder made by hand: a few rows of everything that the steps of the loop leave, in a second."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.loop_run import open_loop
from levo.alignment.pairs import PairExample, write_pairs
from levo.song.arrays import Array
from levo.song.digest import digest_bytes
from levo.song.prompt import PromptSet
from levo.song.schema import table_of
from levo.song.scores import Axis, Score
from levo.training.examples import TrainingExample, write_examples
from levo.training.journal import append_journal
from levo.training.loop import LoggedStep
from pipelines.corpus.records import AudioPlace, AudioReference
from pipelines.flow.snapshot import SnapshotStore
from pipelines.loop.context import LoopContext
from pipelines.loop.metrics import MUSICAL_DEFECTS, MUSICALITY, PHONEME_ERROR_RATE, SIMILARITY_TO_TEXT, TAG_AGREEMENT
from pipelines.loop.places import RunPlaces
from pipelines.loop.records import CandidateRow, PromptRow, ScoredRow

_MIXTURE = "merge-0.334-0.333-0.333"
_REPORTED = ("control", "base", "lyric", "prompt", "musicality", "mixed", "interpolated")
_TRAINING_METRICS = (PHONEME_ERROR_RATE.name, SIMILARITY_TO_TEXT.name, MUSICALITY.name)
_HELD_OUT_METRICS = (TAG_AGREEMENT.name, MUSICAL_DEFECTS.name)


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run whose every step is done, and what each of them returned."""

    context: LoopContext
    results: dict[str, dict[str, Any]]

    @staticmethod
    def digest_of(name: str) -> str:
        """The digest of the model of a name, made up."""
        return digest_bytes(name.encode())


@pytest.fixture
def finished_run(tmp_path: Path) -> FinishedRun:
    context = open_loop("tiny", 3, tmp_path / "run", "none").context
    corpus = _write_songs_and_corpora(context.places)
    prompts = [_prompt(f"p{number}", name) for number, name in enumerate(PromptSet)]
    prompts_id = _publish(context.places.prompts, "prompts", table_of(prompts, PromptRow))
    context.places.tokenizer.mkdir(parents=True)
    (context.places.tokenizer / "vocab.json").write_text("{}")
    examples = _write_examples(context)
    _write_pairs(context.places)
    sets = {
        "sample": ["pair-base"],
        "search-sample": ["search-base", f"search-{_MIXTURE}"],
        "report-sample": [f"report-{model}" for model in _REPORTED if model != "control"],
        "control": ["report-control"],
    }
    for name in [name for names in sets.values() for name in names]:
        _write_set(context.places, name)
    train = _write_phases(context.places, "base", [phase.name for phase in context.config.training.phases])
    align = _write_phases(context.places, "alignment", ["lyric", "prompt", "musicality", "mixed"])
    digest_of = FinishedRun.digest_of
    fitted = {name: digest_of(name) for name in ("codec", "recogniser", "tagger", "similarity")}
    results: dict[str, dict[str, Any]] = {
        "render": {"num_songs": 3},
        "fit": fitted
        | {"musicality": {"digest": digest_of("reward"), "kept_out": {"accuracy": 1.0}}}
        | {
            "held_out": {name: digest_of(name) for name in ("tag_agreement", "defects")},
            "noise": {"musicality": 0.1},
        },
        "corpus": {"snapshot": corpus["corpus"], "num_songs": 3},
        "separation": {"snapshot": corpus["separated_corpus"], "num_songs": 1},
        "recordings": {"snapshot": corpus["recordings_corpus"], "num_songs": 1},
        "prompts": {"snapshot": prompts_id, "prompts": {"pair": 1}},
        "initial": {"digest": digest_of("initial"), "examples": examples},
        "train": {"digest": digest_of("base"), "phases": train},
        "sample": {"sets": sets["sample"], "num_songs": 2},
        "score": {"sets": sets["sample"]},
        "pair": {"digests": {}},
        "align": {"phases": align},
        "merge": {"models": {_MIXTURE: digest_of(_MIXTURE)}},
        "search-sample": {"sets": sets["search-sample"]},
        "search-score": {"sets": sets["search-sample"]},
        "choose": {"digest": digest_of("interpolated"), "within_limits": False},
        "control": {"sets": sets["control"]},
        "report-sample": {"sets": sets["report-sample"]},
        "report-score": {"sets": [*sets["control"], *sets["report-sample"]]},
    }
    return FinishedRun(context, results)


def _write_songs_and_corpora(places: RunPlaces) -> dict[str, str]:
    places.songs.mkdir(parents=True)
    (places.songs / "metadata.jsonl").write_text("".join(f'{{"song_id": "s{number}"}}\n' for number in range(3)))
    pq.write_table(pa.table({"song_id": ["s0", "s1", "s2"]}), places.truth)
    snapshots = {}
    for folder, num_songs in ((places.corpus, 3), (places.separated_corpus, 1), (places.recordings_corpus, 1)):
        table = pa.table({"song_id": [f"{folder.name}{number}" for number in range(num_songs)]})
        snapshots[folder.name] = _publish(folder, "songs", table)
        (folder / "corpus.json").write_text(json.dumps({"recordings": str(places.folder / "heard")}))
        listing = pa.table({"path": ["a.wav", "b.wav"], "sha256": ["1" * 64, "2" * 64], "changed_ns": [5, 6]})
        pq.write_table(listing, folder / "listing.parquet")
    return snapshots


def _write_examples(context: LoopContext) -> dict[str, int]:
    """A store for every data that the recipe's phases train on."""
    counts: dict[str, int] = {}
    for plan in context.config.training.phases:
        name = plan.examples_name
        if name not in counts:
            counts[name] = len(counts) + 1
            songs = [TrainingExample(f"{name}{number}", _codes(number), "[verse] moon", None) for number in range(9)]
            write_examples(songs[: counts[name]], context.places.training / "examples" / name)
    return counts


def _write_pairs(places: RunPlaces) -> None:
    names = [*(axis.value for axis in Axis), "mixed"]
    for number, name in enumerate(names):
        pair = PairExample(name, "[verse] moon", None, None, _codes(number), _codes(number + 100))
        write_pairs([pair], places.training / "pairs" / name)
    _publish(places.pairs, "pairs", pa.table({"pair_id": names[:3]}))


def _write_phases(places: RunPlaces, storage: str, names: list[str]) -> list[dict[str, Any]]:
    facts = []
    for name in names:
        folder = places.training / storage / name
        (folder / "model").mkdir(parents=True)
        for step in (10, 20):
            append_journal(folder / "metrics.jsonl", LoggedStep(step, 20, {"loss": 2.0 / step}, {"mfu": 0.5}))
        proof = {"before": "a", "after": "a"} if name == "extend" else None
        result = {
            "model_digest": FinishedRun.digest_of(name),
            "wall_s": 1.5,
            "num_steps": 20,
            "stage": "s",
            "mixed_logits": proof,
        }
        (folder / "result.json").write_text(json.dumps(result))
        facts.append({"name": name, "digest": FinishedRun.digest_of(name)})
    return facts


def _write_set(places: RunPlaces, name: str) -> None:
    """Two songs of the model that the set is named after (the control's are the codec's), and their scores."""
    model = name.partition("-")[2]
    digest = FinishedRun.digest_of("codec" if model == "control" else model)
    songs = [CandidateRow(f"{name}{n}", "p0", n, digest, True, "", (), _codes(n)) for n in range(2)]
    _publish(places.candidates(name) / "candidates", "candidates", table_of(songs, CandidateRow))
    metrics = (*_TRAINING_METRICS, *(_HELD_OUT_METRICS if name.startswith("report") else ()))
    scored = [
        ScoredRow(
            candidate_id=song.candidate_id,
            prompt_id="p0",
            audio=AudioReference(AudioPlace.OBJECTS, song.candidate_id, "0" * 64, 1),
            duration_s=1.0,
            heard_phonemes=(),
            heard_words=(),
            heard_tags=(),
            scores={metric: Score(0.5) for metric in metrics},
        )
        for song in songs
    ]
    _publish(places.candidates(name) / "scores", "scores", table_of(scored, ScoredRow))


def _prompt(prompt_id: str, prompt_set: PromptSet) -> PromptRow:
    return PromptRow(prompt_id, prompt_set, False, "[verse] moon", ("male",), 50, "other", _codes(0))


def _codes(first: int) -> Array:
    return np.full((3, 4), first, np.int32)


def _publish(folder: Path, name: str, table: pa.Table) -> str:
    return SnapshotStore(folder).publish({name: table}, {}).manifest.snapshot_id

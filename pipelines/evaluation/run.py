"""Judges many songs, keeps each verdict as it is there, and sums them up with their intervals."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from levo.song.arrays import Array
from levo.song.digest import digest_file, digest_json
from levo.song.files import write_atomically, write_json
from levo.song.scores import Score
from pipelines.corpus.archives import is_audio
from pipelines.evaluation.judges import SongJudges, SongVerdict
from pipelines.evaluation.songs import SongToJudge
from reward.bootstrap import MeanInterval, bootstrap_mean
from reward.frechet import EmbeddingSet, FrechetDistance, frechet_distance

_SEED = 0
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class MetricSummary:
    """A metric's mean over the songs that have it (None below two), and why the others have not."""

    interval: MeanInterval | None
    num_songs: int
    missing: Mapping[str, int]


def judge_songs(
    songs: Sequence[SongToJudge], judges: SongJudges, folder: Path, progress: Progress
) -> list[SongVerdict]:
    """A verdict a song, in order; those of the same sound, wishes and judges are read from `folder`."""
    verdicts = []
    for number, song in enumerate(songs, 1):
        verdicts.append(_judged(song, judges, folder))
        progress(number, len(songs))
    return verdicts


def reference_vectors(reference: Path, judges: SongJudges, folder: Path, progress: Progress) -> EmbeddingSet:
    """The vectors of a folder's songs; those of the same sound and judge are read from `folder`.

    Raises `ValueError` where fewer than two can be heard.
    """
    files = sorted(path for path in reference.rglob("*") if path.is_file() and is_audio(path.name))
    vectors = []
    for number, file in enumerate(files, 1):
        kept = folder / "reference" / f"{digest_json([digest_file(file), judges.digest])[:32]}.npy"
        vector = np.load(kept, allow_pickle=False) if kept.is_file() else judges.vector(file)
        if vector is not None:
            _save(kept, vector)
            vectors.append(vector)
        progress(number, len(files))
    if len(vectors) < 2:
        raise ValueError(f"{len(vectors)} of {len(files)} songs in {reference} can be heard; expected two or more")
    return EmbeddingSet(_embedding(judges), str(reference), np.stack(vectors))


def distance_to(reference: EmbeddingSet, verdicts: Sequence[SongVerdict], judges: SongJudges) -> FrechetDistance | None:
    """FAD of the songs that have a vector; None below two."""
    vectors = [verdict.vector for verdict in verdicts if verdict.vector is not None]
    if len(vectors) < 2:
        return None
    return frechet_distance(EmbeddingSet(_embedding(judges), "songs", np.stack(vectors)), reference)


def summaries(verdicts: Sequence[SongVerdict], judges: SongJudges) -> dict[str, MetricSummary]:
    """Every metric's mean with its interval, songs drawn again with replacement."""
    found = {}
    for name in judges.metrics:
        scores = [verdict.scores[name] for verdict in verdicts]
        values = np.array([score.value for score in scores if score.value is not None], dtype=np.float64)
        interval = bootstrap_mean(values, seed=_SEED) if len(values) > 1 else None
        missing = Counter(str(score.missing) for score in scores if score.value is None)
        found[name] = MetricSummary(interval, len(values), dict(missing))
    return found


def _judged(song: SongToJudge, judges: SongJudges, folder: Path) -> SongVerdict:
    file, vector_file = folder / "songs" / f"{song.idx}.json", folder / "songs" / f"{song.idx}.npy"
    sounds = [digest_file(path) if path and path.is_file() else None for path in (song.audio, song.vocal, song.prompt)]
    key = digest_json([sounds, song.lyrics, song.description, song.language, judges.digest])
    if file.is_file():
        kept = json.loads(file.read_text())
        if kept["key"] == key:
            scores = {name: Score(**score) for name, score in kept["scores"].items()}
            return SongVerdict(scores, np.load(vector_file, allow_pickle=False) if kept["has_vector"] else None)
    verdict = judges.judge(song)
    if verdict.vector is not None:
        _save(vector_file, verdict.vector)
    told = {name: asdict(score) for name, score in verdict.scores.items()}
    write_json(file, {"key": key, "scores": told, "has_vector": verdict.vector is not None})
    return verdict


def _save(file: Path, vector: Float32[Array, " dimension"]) -> None:
    write_atomically(file, partial(_write_array, vector), flush=False)


def _write_array(vector: Float32[Array, " dimension"], path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, vector, allow_pickle=False)


def _embedding(judges: SongJudges) -> str:
    return "" if judges.similarity is None else judges.similarity.digest

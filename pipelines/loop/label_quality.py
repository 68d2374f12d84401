"""How good the corpus's labels are: the flow's own lyrics, tags, stems and sections against the rendered truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from annotation.quality.sections import boundary_agreement, inner_boundaries, section_label_error
from annotation.quality.stems import scale_invariant_sdr_db
from annotation.recogniser.lexicon import Lexicon
from levo.codec.stems import Stems
from levo.song.lyrics import parse_lyrics
from levo.song.structure import StructureTag
from levo.song.timing import TimedSection
from pipelines.corpus.records import LabelSource, PreparedSong
from pipelines.corpus.snapshot import Corpus
from reward.phoneme_error import corpus_phoneme_errors

BOUNDARY_TOLERANCES_S = (0.5, 3.0)


@dataclass(frozen=True, slots=True)
class SongTruth:
    """What a rendered song really is."""

    song_id: str
    is_long: bool
    phonemes: tuple[str, ...]
    words: tuple[str, ...]
    tags: tuple[str, ...]
    sections: tuple[TimedSection, ...]


@dataclass(frozen=True, slots=True)
class OwnLabelQuality:
    """The flow's lyrics and tags where the metadata gave none."""

    num_songs: int
    phoneme_error_rate: float
    lyrics_phoneme_error_rate: float
    tag_accuracy: float


@dataclass(frozen=True, slots=True)
class SeparationQuality:
    """Separated stems, what is heard in them, and the sections found; decibels are medians over songs."""

    num_songs: int
    num_long_songs: int
    vocal_sdr_db: float
    accompaniment_sdr_db: float
    vocal_sdr_improvement_db: float
    phoneme_error_rate: float
    boundary_f: dict[str, float]
    long_boundary_f: dict[str, float]
    section_label_error: float


def read_truth(file: Path) -> dict[str, SongTruth]:
    """The truth table that `levo render` wrote, by song; no training step may call this."""
    return {row["song_id"]: _truth(row) for row in pq.read_table(file).to_pylist()}


def own_label_quality(songs: Iterable[PreparedSong], truth: dict[str, SongTruth], lexicon: Lexicon) -> OwnLabelQuality:
    """Compare the songs that the flow labelled itself; raises `ValueError` where there is none."""
    own = [song for song in songs if song.lyrics_source is LabelSource.FLOW]
    if not own:
        raise ValueError("no song was labelled by the flow; expected some without lyrics in their metadata")
    heard = corpus_phoneme_errors((truth[song.song_id].phonemes, _heard(song)) for song in own)
    written = corpus_phoneme_errors(
        (truth[song.song_id].phonemes, lexicon.phonemes_of(parse_lyrics(song.lyrics).words)) for song in own
    )
    right = [tag in song.tags for song in own for tag in truth[song.song_id].tags]
    return OwnLabelQuality(len(own), heard.pooled.rate, written.pooled.rate, fmean(right))


def separation_quality(corpus: Corpus, truth: dict[str, SongTruth], true_stems: Path) -> SeparationQuality:
    """Compare separated songs with the stems that `true_stems` (the rendered corpus) holds."""
    songs = corpus.songs
    ratios = [_ratios(song.song_id, corpus.stems(song), true_stems) for song in songs]
    errors = corpus_phoneme_errors((truth[song.song_id].phonemes, _heard(song)) for song in songs)
    long_songs = [song for song in songs if truth[song.song_id].is_long]
    return SeparationQuality(
        num_songs=len(songs),
        num_long_songs=len(long_songs),
        vocal_sdr_db=median(ratio.vocal_db for ratio in ratios),
        accompaniment_sdr_db=median(ratio.accompaniment_db for ratio in ratios),
        vocal_sdr_improvement_db=median(ratio.vocal_db - ratio.mixture_db for ratio in ratios),
        phoneme_error_rate=errors.pooled.rate,
        boundary_f=_boundary_f(songs, truth),
        long_boundary_f=_boundary_f(long_songs, truth),
        section_label_error=fmean(
            section_label_error(truth[song.song_id].sections, song.sections or ()) for song in songs
        ),
    )


@dataclass(frozen=True, slots=True)
class _Ratios:
    vocal_db: float
    accompaniment_db: float
    mixture_db: float


def _ratios(song_id: str, stems: Stems, true_stems: Path) -> _Ratios:
    vocal, accompaniment = (_true_stem(song_id, name, true_stems) for name in ("vocal", "accompaniment"))
    return _Ratios(
        scale_invariant_sdr_db(vocal, stems.vocal.mono),
        scale_invariant_sdr_db(accompaniment, stems.accompaniment.mono),
        scale_invariant_sdr_db(vocal, stems.mixture.mono),
    )


def _true_stem(song_id: str, name: str, folder: Path) -> "np.ndarray[Any, Any]":
    import soundfile

    samples, _ = soundfile.read(folder / "stems" / f"{song_id}.{name}.flac", dtype="float32")
    return np.asarray(samples)


def _boundary_f(songs: Sequence[PreparedSong], truth: dict[str, SongTruth]) -> dict[str, float]:
    return {
        f"{tolerance_s:g} s": fmean(
            boundary_agreement(
                inner_boundaries(truth[song.song_id].sections), inner_boundaries(song.sections or ()), tolerance_s
            ).f_measure
            for song in songs
        )
        for tolerance_s in BOUNDARY_TOLERANCES_S
        if songs
    }


def _heard(song: PreparedSong) -> tuple[str, ...]:
    return tuple(item.phoneme for item in song.heard_phonemes or ())


def _truth(row: dict[str, Any]) -> SongTruth:
    return SongTruth(
        song_id=row["song_id"],
        is_long=row["is_long"],
        phonemes=tuple(item["phoneme"] for item in row["phonemes"]),
        words=tuple(item["word"] for item in row["words"]),
        tags=tuple(row["tags"]),
        sections=tuple(
            TimedSection(StructureTag(item["tag"]), item["start_s"], item["end_s"]) for item in row["sections"]
        ),
    )

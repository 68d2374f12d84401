"""How good a corpus's own labels are, song by song and over all: words, phonemes, times, sections and stems."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import fmean, median

import numpy as np

from annotation.quality.bss_eval import can_measure, median_sdr_db
from annotation.quality.sections import boundary_agreement, inner_boundaries, section_label_error
from annotation.quality.stems import scale_invariant_sdr_db
from levo.codec.intake import mono_at_rate
from levo.codec.stems import Stems
from pipelines.corpus.decode import AudioLimits, decode_audio
from pipelines.corpus.label_truth import ReferenceLabels, TimedLine
from pipelines.corpus.records import LabelSource, PreparedSong
from pipelines.corpus.snapshot import Corpus
from reward.phoneme_error import PhonemeErrors, matched_places, phoneme_errors

TOLERANCES_S = (0.5, 3.0)
_NEW_LINE_GAP_S = 0.35
_RATIOS = ("vocal_sdr_db", "accompaniment_sdr_db", "vocal_bss_sdr_db", "accompaniment_bss_sdr_db")


@dataclass(frozen=True, slots=True)
class SongAgreement:
    """One song's figures; None where the reference or the flow says nothing.

    `word_errors` and `phoneme_errors` count every insertion, so that what is sung or heard twice is not hidden.
    `line_errors_s` are the distances of the starts of those lines whose first word was heard; `num_lines` are all.
    `boundary_f` is for each of `TOLERANCES_S`, without the song's own start and end; `label_error` is the share of time
    under a wrong kind of section. SDRs are in decibels: scale-invariant, and BSS Eval's where museval is installed.
    """

    song_id: str
    word_errors: PhonemeErrors | None
    phoneme_errors: PhonemeErrors | None
    line_errors_s: tuple[float, ...]
    num_lines: int
    boundary_f: tuple[float, ...] | None
    label_error: float | None
    vocal_sdr_db: float | None
    accompaniment_sdr_db: float | None
    vocal_bss_sdr_db: float | None
    accompaniment_bss_sdr_db: float | None


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """All songs' figures: each song's, and `pooled` by name (None where no song has it)."""

    songs: tuple[SongAgreement, ...]
    pooled: Mapping[str, float | None]


def label_agreement(corpus: Corpus, truth: Mapping[str, ReferenceLabels]) -> LabelAgreement:
    """Compare every song that the reference knows, by its id, or for one named by its file by that without ending.

    Raises `ValueError` where it knows none of the corpus's songs.
    """
    known = [
        (song, labels)
        for song in corpus.songs
        if (labels := truth.get(song.song_id) or truth.get(PurePosixPath(song.song_id).stem)) is not None
    ]
    if not known:
        some = [song.song_id for song in corpus.songs[:3]]
        raise ValueError(f"the reference labels know none of the {len(corpus.songs)} songs, such as {some}")
    songs = tuple(_song(song, labels, corpus) for song, labels in known)
    return LabelAgreement(songs, _pooled(songs))


def line_starts(reference: Sequence[TimedLine], heard: Sequence[tuple[str, float]]) -> tuple[float, ...]:
    """How far the start of each line's first word was heard from where it is; only lines whose first word was heard."""
    words = [(word, line.start_s, place == 0) for line in reference for place, word in enumerate(words_of(line.text))]
    matched = matched_places([word for word, _, _ in words], [word for word, _ in heard])
    return tuple(abs(heard[other][1] - words[place][1]) for place, other in matched if words[place][2])


def words_of(text: str) -> list[str]:
    """Words as they are compared: lower case, without punctuation around them."""
    plain = (word.strip(".,;:!?¡¿\"'()[]-").lower() for word in text.split())
    return [word for word in plain if word]


def _song(song: PreparedSong, truth: ReferenceLabels, corpus: Corpus) -> SongAgreement:
    heard = [(plain, item.start_s) for item in song.heard_words or () for plain in words_of(item.word)]
    lines = _lines(truth)
    wanted = None if lines is None else [word for line in lines for word in words_of(line.text)]
    is_heard = song.heard_words is not None
    phonemes = [item.phoneme for item in song.heard_phonemes or ()]
    sections = song.sections if truth.sections is not None else None
    stems = corpus.stems(song) if truth.stems is not None and song.stem_source is LabelSource.FLOW else None
    ratios = (None,) * len(_RATIOS) if stems is None or truth.stems is None else _sdr(stems, truth.stems)
    return SongAgreement(
        song_id=song.song_id,
        word_errors=phoneme_errors(wanted, [word for word, _ in heard]) if wanted is not None and is_heard else None,
        phoneme_errors=phoneme_errors(truth.phonemes, phonemes) if truth.phonemes is not None and is_heard else None,
        line_errors_s=line_starts(lines, heard) if lines is not None and is_heard else (),
        num_lines=len(lines) if lines is not None and is_heard else 0,
        boundary_f=None
        if sections is None or truth.sections is None
        else tuple(
            boundary_agreement(inner_boundaries(truth.sections), inner_boundaries(sections), tolerance_s).f_measure
            for tolerance_s in TOLERANCES_S
        ),
        label_error=None
        if sections is None or truth.sections is None
        else section_label_error(truth.sections, sections),
        **dict(zip(_RATIOS, ratios, strict=True)),
    )


def _lines(truth: ReferenceLabels) -> tuple[TimedLine, ...] | None:
    """The lines, or words laid into lines at pauses."""
    if truth.lines is not None or truth.words is None:
        return truth.lines
    lines: list[TimedLine] = []
    for word in truth.words:
        if lines and word.start_s - lines[-1].end_s < _NEW_LINE_GAP_S:
            last = lines[-1]
            lines[-1] = TimedLine(f"{last.text} {word.word}", last.start_s, word.end_s)
        else:
            lines.append(TimedLine(word.word, word.start_s, word.end_s))
    return tuple(lines)


def _sdr(stems: Stems, truth: tuple[Path, Path]) -> tuple[float | None, ...]:
    rate = stems.vocal.sample_rate_hz
    found = [stems.vocal.mono, stems.accompaniment.mono]
    true = [mono_at_rate(decode_audio(path.read_bytes(), AudioLimits()), rate) for path in truth]
    length = min(len(sound) for sound in (*found, *true))
    pairs = [(reference[:length], stem[:length]) for reference, stem in zip(true, found, strict=True)]
    plain = [scale_invariant_sdr_db(*pair) for pair in pairs]
    by_bss_eval: list[float | None] = [None, None]
    if can_measure():
        by_bss_eval = median_sdr_db([pair[0] for pair in pairs], [pair[1] for pair in pairs], rate)
    return (*plain, *by_bss_eval)


def _pooled(songs: Sequence[SongAgreement]) -> dict[str, float | None]:
    line_errors = [error for song in songs for error in song.line_errors_s]
    num_lines = sum(song.num_lines for song in songs)
    figures: dict[str, float | None] = {
        "word_error_rate": _rate(song.word_errors for song in songs),
        "phoneme_error_rate": _rate(song.phoneme_errors for song in songs),
        "line_start_error_s": median(line_errors) if line_errors else None,
        "lines_heard": len(line_errors) / num_lines if num_lines else None,
    }
    for place, tolerance_s in enumerate(TOLERANCES_S):
        figures[f"boundary_f_{tolerance_s:g}_s"] = _mean(
            None if song.boundary_f is None else song.boundary_f[place] for song in songs
        )
    figures["section_label_error"] = _mean(song.label_error for song in songs)
    for name in _RATIOS:
        values = [getattr(song, name) for song in songs if getattr(song, name) is not None]
        figures[name] = float(np.median(values)) if values else None
    return figures


def _rate(errors: Iterable[PhonemeErrors | None]) -> float | None:
    found = [one for one in errors if one is not None]
    num_reference = sum(one.num_reference for one in found)
    return sum(one.num_errors for one in found) / num_reference if num_reference else None


def _mean(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return fmean(found) if found else None

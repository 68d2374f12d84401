"""Labels held to references: figures by hand, and files that are no reference are refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levo.codec.stems import Stems
from levo.song.scores import Score
from levo.song.structure import StructureTag
from levo.song.timing import TimedPhoneme, TimedSection, TimedWord
from levo.song.waveform import mono_waveform
from pipelines.corpus.label_agreement import label_agreement, line_starts, words_of
from pipelines.corpus.label_truth import TimedLine, TruthError, read_reference_labels
from pipelines.corpus.records import AudioPlace, AudioReference, LabelSource, PreparedSong, StemReferences
from pipelines.flow.objects import ObjectReference

RATE = 16_000
REFERENCE = AudioReference(AudioPlace.SOURCE, "a.wav", "0" * 64, 1)
SONG = PreparedSong(
    song_id="a",
    audio=REFERENCE,
    duration_s=8.0,
    sample_rate_hz=RATE,
    num_channels=1,
    stems=StemReferences(REFERENCE, REFERENCE),
    stem_source=LabelSource.FLOW,
    tokens=ObjectReference("0" * 64, "npy", 1),
    num_frames=200,
    heard_words=(
        TimedWord("Sun", 1.1, 1.5),
        TimedWord("oh", 1.5, 1.8),
        TimedWord("moon", 2.0, 2.4),
        TimedWord("rain", 4.3, 5.0),
    ),
    heard_phonemes=(TimedPhoneme("S", 1.1, 1.3), TimedPhoneme("N", 1.3, 1.5)),
    transcript_confidence=0.9,
    sections=(TimedSection(StructureTag.VERSE, 0.0, 4.4), TimedSection(StructureTag.CHORUS, 4.4, 8.0)),
    lyrics="[verse] sun",
    lyrics_source=LabelSource.FLOW,
    tags=(),
    tags_source=LabelSource.FLOW,
    tempo_bpm=None,
    musicality=Score(0.0),
    tier=None,
)
TRUTH = {
    "song_id": "a",
    "lines": [
        {"text": "Sun, moon!", "start_s": 1.0, "end_s": 2.5},
        {"text": "rain falls", "start_s": 4.0, "end_s": 5.0},
        {"text": "stone", "start_s": 6.0, "end_s": 6.5},
    ],
    "phonemes": ["S", "AH", "N"],
    "sections": [
        {"tag": "verse", "start_s": 0.0, "end_s": 4.0},
        {"tag": "chorus", "start_s": 4.0, "end_s": 8.0},
    ],
}


class FakeCorpus:
    def __init__(self, *songs: PreparedSong, vocal: np.ndarray | None = None) -> None:
        self.songs = songs
        self._vocal = np.ones(RATE, np.float32) if vocal is None else vocal

    def stems(self, song: PreparedSong) -> Stems:
        vocal = mono_waveform(self._vocal, RATE)
        return Stems(vocal, vocal, vocal)


def truth_file(tmp_path: Path, **changes: object) -> Path:
    file = tmp_path / "truth.jsonl"
    file.write_text(json.dumps({**TRUTH, **changes}) + "\n\n")
    return file


def test_figures_are_those_counted_by_hand(tmp_path: Path) -> None:
    found = label_agreement(FakeCorpus(SONG), read_reference_labels(truth_file(tmp_path)))  # type: ignore[arg-type]
    (song,) = found.songs
    assert song.word_errors is not None
    assert (song.word_errors.num_insertions, song.word_errors.num_deletions) == (1, 2)
    assert found.pooled["word_error_rate"] == pytest.approx(3 / 5)
    assert found.pooled["phoneme_error_rate"] == pytest.approx(1 / 3)
    assert found.pooled["lines_heard"] == pytest.approx(2 / 3)
    assert found.pooled["line_start_error_s"] == pytest.approx((0.1 + 0.3) / 2)
    assert found.pooled["boundary_f_0.5_s"] == 1.0
    assert found.pooled["section_label_error"] == pytest.approx(0.4 / 8)
    assert found.pooled["vocal_sdr_db"] is None


def test_what_was_not_asked_is_no_figure_and_other_songs_are_left_out(tmp_path: Path) -> None:
    unasked = replace(SONG, heard_words=None, heard_phonemes=None, sections=None)
    other = replace(SONG, song_id="b")
    truth = read_reference_labels(truth_file(tmp_path))
    found = label_agreement(FakeCorpus(unasked, other), truth)  # type: ignore[arg-type]
    assert [song.song_id for song in found.songs] == ["a"]
    assert set(found.pooled.values()) == {None}
    by_file = replace(SONG, song_id="disc/a.flac")
    assert [song.song_id for song in label_agreement(FakeCorpus(by_file), truth).songs] == ["disc/a.flac"]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"know none of the 1 songs, such as \['b'\]"):
        label_agreement(FakeCorpus(other), truth)  # type: ignore[arg-type]


def test_separated_stems_are_held_to_the_true_ones(tmp_path: Path) -> None:
    true = np.sin(np.arange(RATE) / 9).astype(np.float32) / 2
    noise = np.random.default_rng(0).normal(0, 0.035, RATE).astype(np.float32)
    for name in ("v", "w"):
        soundfile.write(tmp_path / f"{name}.wav", true, RATE, subtype="FLOAT")
    truth = read_reference_labels(truth_file(tmp_path, stems={"vocal": "v.wav", "accompaniment": "w.wav"}))
    found = label_agreement(FakeCorpus(SONG, vocal=true + noise), truth)  # type: ignore[arg-type]
    assert found.pooled["vocal_sdr_db"] == pytest.approx(20.1, abs=0.5)
    given = replace(SONG, stem_source=LabelSource.METADATA)
    assert label_agreement(FakeCorpus(given, vocal=true), truth).pooled["vocal_sdr_db"] is None  # type: ignore[arg-type]


def test_lines_are_followed_through_what_is_heard_wrongly() -> None:
    lines = [TimedLine("uno dos", 1.0, 2.0), TimedLine("dos tres", 3.0, 4.0)]
    assert line_starts(lines, [("uno", 1.25), ("eh", 2.0), ("dos", 3.5), ("tres", 3.9)]) == (0.25, 0.5)
    assert line_starts(lines, []) == ()
    assert words_of("¿Qué? -- sí, «no»") == ["qué", "sí", "«no»"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"song_id": 3}, "line 1: expected an object with a song_id"),
        ({"beats": []}, "line 1: field 'beats'; expected words, lines"),
        ({"words": [{"word": "a", "start_s": 2, "end_s": 1}]}, "line 1: words: 'a' lasts from 2 s to 1 s"),
        ({"words": [{"start_s": 2, "end_s": 3}]}, "line 1: words: 'word'; expected objects with word, start_s"),
        ({"sections": [{"tag": "hook", "start_s": 0, "end_s": 1}]}, "line 1: sections: 'hook' is not a valid"),
        ({"stems": {"vocal": "nowhere.wav", "accompaniment": "x"}}, "nowhere.wav is no file"),
        ({"stems": ["a"]}, "expected paths of vocal and accompaniment"),
        ({"phonemes": "AH"}, "line 1: phonemes; expected a list"),
    ],
)
def test_what_is_no_reference_is_named(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    with pytest.raises(TruthError, match=problem):
        read_reference_labels(truth_file(tmp_path, **change))


def test_empty_broken_and_doubled_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "truth.jsonl"
    for text, problem in (("", "holds no song"), ("{", "line 1: no JSON"), ('{"song_id": "a"}\n' * 2, "came before")):
        file.write_text(text)
        with pytest.raises(TruthError, match=problem):
            read_reference_labels(file)

"""Songs held to judges: each metric is its definition, what is missing says why, and nothing is judged twice."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from annotation.recogniser.protocol import Transcript
from levo.codec.stems import Stems
from levo.song.description import Description
from levo.song.scores import Metric, Score
from levo.song.timing import TimedWord
from levo.song.waveform import Waveform
from pipelines.evaluation.judges import SongJudges, spelled
from pipelines.evaluation.run import distance_to, judge_songs, reference_vectors, summaries
from pipelines.evaluation.songs import read_songs
from pipelines.flow.json_lines import LineError
from reward.frechet import gaussian_distance

RATE = 16_000
LYRICS = "[verse] Red moon. ; [chorus] Red sky."


def level(song: Waveform) -> float:
    return float(np.abs(song.samples).mean())


class FakeSimilarity:
    digest = "similarity"

    def embed_song(self, song: Waveform) -> torch.Tensor:
        if song.duration_s < 0.5:
            raise ValueError("too short")
        return torch.tensor([level(song), 1 - level(song)])

    def similarity_to_text(self, songs: Sequence[Waveform], descriptions: Sequence[Description]) -> list[Score]:
        return [Score(level(song) + len(text.tags)) for song, text in zip(songs, descriptions, strict=True)]

    def similarity_to_audio(self, songs: Sequence[Waveform], prompts: Sequence[Waveform]) -> list[Score]:
        return [Score(level(song) - level(prompt)) for song, prompt in zip(songs, prompts, strict=True)]


class FakeRecogniser:
    """Hears `red moon` in loud songs, nothing in others."""

    digest = "recogniser"
    heard: list[float]

    def __init__(self) -> None:
        self.heard = []

    def transcribe(self, songs: Sequence[Waveform]) -> list[Transcript]:
        self.heard += [level(song) for song in songs]
        words = (TimedWord("Red,", 0.0, 0.4), TimedWord("moon", 0.5, 0.9))
        return [Transcript((), words if level(song) > 0.2 else (), 1.0, "en") for song in songs]


class FakeSeparator:
    digest = "separator"

    def separate(self, mixture: Waveform) -> Stems:
        half = Waveform(mixture.samples / 2, mixture.sample_rate_hz)
        return Stems(half, half, mixture)


class FakeAesthetics:
    digest = "aesthetics"
    metrics: Mapping[str, Metric] = {"CE": Metric("ce", "higher", "points", "held_out")}

    def judge(self, songs: Sequence[Waveform]) -> list[Mapping[str, Score]]:
        return [{"CE": Score(10 * level(song))} for song in songs]


def write_tone(file: Path, loudness: float, duration_s: float = 1.0) -> str:
    file.parent.mkdir(exist_ok=True)
    soundfile.write(file, np.full(round(duration_s * RATE), loudness), RATE, subtype="FLOAT", format="WAV")
    return f"{file.parent.name}/{file.name}"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    sounds = tmp_path / "audios"
    rows = [
        {
            "idx": "loud",
            "wav_path": write_tone(sounds / "loud.wav", 0.5),
            "gt_lyric": LYRICS,
            "descriptions": "female, dark.",
            "prompt_audio_path": write_tone(sounds / "prompt.wav", 0.125),
        },
        {
            "idx": "stems",
            "wav_path": write_tone(sounds / "stems.wav", 0.25),
            "stem_paths": [write_tone(sounds / "stems_vocal.wav", 0.375), "audios/none.wav"],
            "gt_lyric": LYRICS,
        },
        {"idx": "failed", "wav_path": None, "gt_lyric": LYRICS, "error": "too long"},
    ]
    file = tmp_path / "results.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def quiet(_done: int, _total: int) -> None:
    """Nobody watches."""


def test_each_metric_is_its_definition(results: Path, tmp_path: Path) -> None:
    recogniser = FakeRecogniser()
    judges = SongJudges(FakeSimilarity(), FakeAesthetics(), recogniser)
    loud, stems, failed = judge_songs(read_songs(results), judges, tmp_path / "out", quiet)
    asked, heard = spelled(LYRICS, "en"), spelled("[verse] red moon.", "en")
    assert {name: score.value for name, score in loud.scores.items()} == pytest.approx(
        {
            "similarity_to_text": 2.5,
            "similarity_to_prompt": 0.375,
            "phoneme_error_rate": 1 - len(heard) / len(asked),
            "ce": 5.0,
        }
    )
    assert stems.scores["similarity_to_text"].missing == "not asked for"
    assert recogniser.heard == pytest.approx([0.5, 0.375]), "a vocal file is heard where there is one"
    assert {score.missing for score in failed.scores.values()} == {"no song: missing: there is none"}
    assert failed.vector is None


def test_a_vocal_is_separated_where_there_is_none(results: Path, tmp_path: Path) -> None:
    recogniser = FakeRecogniser()
    judges = SongJudges(recogniser=recogniser, separator=FakeSeparator())
    judge_songs(read_songs(results), judges, tmp_path / "out", quiet)
    assert recogniser.heard == pytest.approx([0.25, 0.375])


def test_what_is_judged_is_not_judged_again_until_something_changes(results: Path, tmp_path: Path) -> None:
    recogniser = FakeRecogniser()
    judges = SongJudges(FakeSimilarity(), recogniser=recogniser)
    songs = read_songs(results)
    first = judge_songs(songs, judges, tmp_path / "out", quiet)
    again = judge_songs(songs, judges, tmp_path / "out", quiet)
    assert [verdict.scores for verdict in again] == [verdict.scores for verdict in first]
    assert np.array_equal(again[0].vector, first[0].vector)  # type: ignore[arg-type]
    assert len(recogniser.heard) == 2
    write_tone(tmp_path / "audios" / "loud.wav", 0.75)
    judge_songs(songs, judges, tmp_path / "out", quiet)
    assert recogniser.heard[2:] == pytest.approx([0.75])


def test_means_have_intervals_and_what_is_missing_is_counted(results: Path, tmp_path: Path) -> None:
    judges = SongJudges(FakeSimilarity(), FakeAesthetics())
    found = summaries(judge_songs(read_songs(results), judges, tmp_path / "out", quiet), judges)
    assert found["ce"].interval is not None
    assert found["ce"].interval.mean == pytest.approx(3.75)
    assert (found["ce"].num_songs, found["ce"].missing) == (2, {"no song: missing: there is none": 1})
    assert found["similarity_to_text"].interval is None


def test_fad_is_the_distance_of_the_vectors(results: Path, tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    for number in range(4):
        write_tone(reference / f"{number}.wav", 0.1 + number / 10)
    write_tone(reference / "brief.wav", 0.3, 0.3)
    judges = SongJudges(FakeSimilarity())
    verdicts = judge_songs(read_songs(results), judges, tmp_path / "out", quiet)
    for _ in range(2):
        distance = distance_to(reference_vectors(reference, judges, tmp_path / "out", quiet), verdicts, judges)
        assert distance is not None
        levels = [np.array([[one, 1 - one] for one in row]) for row in ((0.5, 0.25), (0.1, 0.2, 0.3, 0.4))]
        assert distance.value == pytest.approx(gaussian_distance(*levels), abs=1e-6)
        assert (distance.num_songs, distance.num_reference_songs) == (2, 4)
    with pytest.raises(ValueError, match=r"0 of 0 songs in .* can be heard; expected two or more"):
        reference_vectors(tmp_path / "out", judges, tmp_path / "other", quiet)


def test_lines_that_cannot_be_judged_are_named(tmp_path: Path) -> None:
    file = tmp_path / "songs.jsonl"
    file.write_text('{"idx": "a/b", "wav_path": 3}\n{"idx": "c", "wav_path": "c.wav", "stem_paths": "v.wav"}\n')
    with pytest.raises(
        LineError, match=r"songs.jsonl:1:\d+: idx is 'a/b'.*wav_path is 3.*songs.jsonl:2:\d+: stem_paths"
    ):
        read_songs(file)


def test_lyrics_of_a_language_without_phonemes_are_missing(results: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) | {"language": "fi"} for line in results.read_text().splitlines()[:1]]
    results.write_text(json.dumps(rows[0]) + "\n")
    judges = SongJudges(recogniser=FakeRecogniser())
    (verdict,) = judge_songs(read_songs(results), judges, tmp_path / "out", quiet)
    assert str(verdict.scores["phoneme_error_rate"].missing).startswith("no phonemes for language 'fi'")

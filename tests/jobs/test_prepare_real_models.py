"""`levo prepare` with real models' weights, small and random, in the place of embedded ones."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import pipelines.corpus.embedded
from jobs.cli import main
from pipelines.corpus.backends import BackendChoices, corpus_models
from pipelines.corpus.records import LabelSource
from pipelines.corpus.snapshot import Corpus, open_corpus
from tests.annotation.recogniser.test_whisper import write_tiny_whisper
from tests.annotation.separation.test_htdemucs import write_bag
from tests.annotation.structure.test_all_in_one import write_checkpoints
from tests.jobs.test_prepare_command import fake_models
from tests.reward.aesthetics.test_audiobox import small, write_checkpoint
from tests.reward.similarity.test_clap import write_tiny_clap

pytest.importorskip("whisper", reason="the extra `asr` is not installed")
pytest.importorskip("demucs", reason="the extra `separation` is not installed")
pytest.importorskip("audiobox_aesthetics", reason="the extra `aesthetics` is not installed")
RATE = 16000
__all__ = ["small"]


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for number in range(2):
        tone = 0.3 * np.sin(np.arange(3 * RATE) * (number + 1) / 20) + generator.normal(0, 0.05, 3 * RATE)
        soundfile.write(folder / f"{number}.flac", np.stack([tone, 0.5 * tone], 1), RATE)
    return folder


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None) -> list[str]:
    """Weights of every real model, as options of the command."""
    monkeypatch.setattr(pipelines.corpus.embedded, "embedded_models", fake_models)
    places = {name: tmp_path / name for name in ("demucs", "clap")}
    places["demucs"].mkdir()
    bag = write_bag(places["demucs"], None)
    for number in range(2):
        write_tiny_whisper(tmp_path / f"whisper{number}.pt", number, n_text_ctx=24)
    write_checkpoints(places["demucs"])
    write_tiny_clap(places["clap"], "rand_trunc")
    write_checkpoint(tmp_path / "aesthetics.pt")
    return [
        f"--separator=htdemucs:{bag}",
        f"--recogniser=whisper:{tmp_path / 'whisper0.pt'}",
        f"--second-recogniser=whisper:{tmp_path / 'whisper1.pt'}",
        f"--labeller=all-in-one:{places['demucs']}",
        f"--tagger=clap:{places['clap']}",
        f"--musicality=audiobox-ce:{tmp_path / 'aesthetics.pt'}",
    ]


def prepared(recordings: Path, corpus: Path, options: list[str]) -> Corpus:
    arguments = ["prepare", "--audio", str(recordings), "--corpus", str(corpus), "--workers", "0", "--listen", "0"]
    assert main([*arguments, *options]) == 0
    return open_corpus(corpus)


def test_real_models_separate_hear_tag_and_judge(recordings: Path, tmp_path: Path, real: list[str]) -> None:
    corpus = prepared(recordings, tmp_path / "corpus", [*real, "--no-stem-gate"])
    assert not corpus.refusals
    assert len(corpus.songs) == 2
    for song in corpus.songs:
        assert song.stem_source is LabelSource.FLOW
        stems = corpus.stems(song)
        assert (stems.vocal.samples.shape, stems.vocal.sample_rate_hz) == ((2, 3 * RATE), RATE)
        assert song.stem_quality is not None
        assert song.heard_words is not None
        assert song.heard_lines is not None
        assert song.sections
        assert song.musicality.value == pytest.approx(5.0, abs=3)
        assert song.tier is not None
    versions = corpus.snapshot.manifest.versions
    model_names = ("separator", "recogniser", "second_recogniser", "labeller", "tagger", "judge")
    assert len({versions[name] for name in model_names}) == 6


@pytest.mark.slow
def test_one_stage_at_a_time_gives_the_same_corpus(recordings: Path, tmp_path: Path, real: list[str]) -> None:
    options = [*real, "--no-stem-gate"]
    whole = prepared(recordings, tmp_path / "whole", options)
    staged = prepared(recordings, tmp_path / "staged", [*options, "--one-stage-at-a-time"])
    assert staged.songs == whole.songs
    assert staged.snapshot.manifest.snapshot_id == whole.snapshot.manifest.snapshot_id


def test_stems_that_fail_the_gate_are_refused_with_the_measure(
    recordings: Path, tmp_path: Path, real: list[str]
) -> None:
    corpus = prepared(recordings, tmp_path / "corpus", real)
    assert not corpus.songs
    assert {refusal.reason for refusal in corpus.refusals} == {"poor stems"}
    assert all("vocal_leak_db is" in refusal.detail for refusal in corpus.refusals)


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        ({"separator": "spleeter:x"}, r"separator is 'spleeter:x'; expected embedded, htdemucs:PATH"),
        ({"recogniser": "whisper"}, r"recogniser is 'whisper'; expected embedded, whisper:PATH"),
        ({"second_recogniser": "embedded"}, "expected NAME:PATH, or none"),
        ({"musicality": "audiobox:x"}, "expected embedded, audiobox-ce:PATH, audiobox-cu:PATH"),
        ({"aligner": "mfa:x"}, r"aligner is 'mfa:x'; expected embedded, pocketsphinx:PATH, wav2vec2:PATH"),
        ({"aligner": "pocketsphinx:xx"}, "no phonemes for language 'xx'"),
        ({"labeller": "all-in-one:nowhere"}, r"nowhere holds no \.th or \.yaml of HTDemucs"),
        ({"tagger": "muq-mulan:nowhere"}, r"nowhere has no readable config\.json"),
        ({"musicality": "reward:nowhere"}, "nowhere is no folder of `levo train reward`"),
        ({"tagger": "clap:nowhere"}, r"nowhere has no config\.json"),
    ],
)
def test_a_choice_that_is_none_names_what_there_is(
    choices: dict[str, Any], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.corpus.embedded, "embedded_models", fake_models)
    with pytest.raises(ValueError, match=problem):
        corpus_models(tmp_path, BackendChoices(**choices))


def test_what_two_recognisers_disagree_on_is_left_out_of_the_lyrics() -> None:
    from annotation.recogniser.consensus import HeardLine
    from levo.song.timing import TimedWord
    from pipelines.corpus.heard_lyrics import trusted_words

    class Heard:
        heard_words = (TimedWord("red", 0.0, 0.5), TimedWord("moon", 0.5, 1.0), TimedWord("bla", 3.0, 3.5))
        heard_lines = (
            HeardLine(("red", "moon"), 0.0, 1.0, 0.9, needs_review=False),
            HeardLine(("bla",), 3.0, 3.5, 0.1, needs_review=True),
        )

    assert [word.word for word in trusted_words(Heard)] == ["red", "moon"]  # type: ignore[arg-type]

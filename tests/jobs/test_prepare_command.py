"""`levo prepare` and `levo corpus`, with small fakes in place of the models."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

import pipelines.corpus.embedded
from annotation.recogniser.protocol import Transcript
from annotation.tags.protocol import NO_TAGS, Tags
from jobs.cli import main
from levo.codec.stems import Stems
from levo.song.scores import Score
from levo.song.structure import StructureTag
from levo.song.timing import TimedSection, TimedWord
from levo.song.tokens import TokenGrid
from levo.song.waveform import Waveform
from pipelines.corpus.flow import CorpusModels
from pipelines.flow.model_source import model_source

RATE = 16000


class FakeModel:
    """Every model at once, of the simplest kind."""

    digest = "fake"
    sample_rate_hz = RATE
    frame_rate_hz = 25
    code_size = 512

    def separate(self, mixture: Waveform) -> Stems:
        half = Waveform(mixture.samples / 2, mixture.sample_rate_hz)
        return Stems(half, half, mixture)

    def encode(self, stems: Stems) -> TokenGrid:
        return TokenGrid(np.zeros((3, -(-stems.mixture.num_samples // 640)), np.int32))

    def encode_batch(self, songs: Sequence[Stems]) -> list[TokenGrid]:
        return [self.encode(song) for song in songs]

    def decode(self, tokens: TokenGrid) -> Stems:
        sound = Waveform(np.full((1, tokens.num_frames * 640), 0.25, np.float32), RATE)
        return Stems(sound, sound, sound)

    def decode_batch(self, songs: Sequence[TokenGrid]) -> list[Stems]:
        return [self.decode(song) for song in songs]

    def decode_mixed(self, tokens: TokenGrid) -> Waveform:
        return self.decode(tokens).mixture

    def transcribe(self, songs: Sequence[Waveform]) -> list[Transcript]:
        return [Transcript((), (TimedWord("la", 0.0, 0.5),), 1.0) for _ in songs]

    def label(self, mixture: Waveform, vocal: Waveform | None) -> tuple[TimedSection, ...]:
        return ()

    def tag(self, stems: Stems) -> Tags:
        return NO_TAGS

    def score(self, songs: Sequence[Waveform]) -> list[Score]:
        return [Score(0.5) for _ in songs]


def fake_models(_models: Path) -> CorpusModels:
    fake = model_source(FakeModel)
    return CorpusModels(fake, fake, RATE, fake, fake, fake, fake)


def write_recordings(folder: Path) -> Path:
    folder.mkdir()
    tone = 0.3 * np.sin(np.arange(2 * RATE) / 20)
    soundfile.write(folder / "one.flac", tone, RATE)
    soundfile.write(folder / "two.wav", np.stack([tone, tone], 1), 22050)
    (folder / "broken.mp3").write_bytes(b"no sound at all")
    (folder / "empty.ogg").write_bytes(b"")
    return folder


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    return write_recordings(tmp_path / "recordings")


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch, recordings: Path, tmp_path: Path) -> list[str]:
    monkeypatch.setattr(pipelines.corpus.embedded, "embedded_models", fake_models)
    return ["prepare", "--audio", str(recordings), "--corpus", str(tmp_path / "corpus"), "--workers", "0"]


def test_a_folder_of_recordings_becomes_a_corpus_to_listen_to(
    prepare: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(prepare) == 0
    out = capsys.readouterr().out
    assert "2 songs" in out
    assert "2 of 4 recordings refused" in out
    assert "unreadable" in out
    assert "empty file" in out
    listen = sorted((tmp_path / "corpus" / "listen").iterdir())
    assert [path.name.split("-")[0] + path.suffixes[-2] for path in listen] == [
        "one.mixture",
        "one.vocal",
        "two.mixture",
        "two.vocal",
    ]
    assert soundfile.info(listen[0]).duration == 2.0
    page = (tmp_path / "corpus" / "report.html").read_text()
    assert page.count("data:audio/mpeg;base64,") == 6
    assert "refused at check: unreadable" in page
    assert main(prepare) == 0
    assert "4 recordings were done before" in capsys.readouterr().out


def test_status_and_failures_tell_what_a_corpus_holds(
    prepare: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(prepare)
    corpus = ["--corpus", str(tmp_path / "corpus")]
    capsys.readouterr()
    assert main(["corpus", "status", *corpus, "--verify"]) == 0
    out = capsys.readouterr().out
    assert "2 songs" in out
    assert "verified    1 files" in out
    assert main(["corpus", "failures", *corpus, "--reason", "unreadable"]) == 0
    out = capsys.readouterr().out
    assert "broken.mp3" in out
    assert "empty.ogg" not in out
    assert main(["corpus", "failures", *corpus, "--reason", "bad mood"]) == 1
    assert "--reason is 'bad mood'; this corpus's refusals have the reasons" in capsys.readouterr().err


def test_what_changed_between_snapshots_is_shown(
    prepare: list[str], recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(prepare)
    diff = ["corpus", "diff", "--corpus", str(tmp_path / "corpus")]
    capsys.readouterr()
    assert main(diff) == 0
    assert "is the corpus's first" in capsys.readouterr().out
    first = (tmp_path / "corpus" / "CURRENT").read_text().strip()
    (recordings / "one.flac").unlink()
    soundfile.write(recordings / "two.wav", 0.3 * np.sin(np.arange(3 * RATE) / 20), RATE)
    soundfile.write(recordings / "empty.ogg", 0.3 * np.sin(np.arange(2 * RATE) / 20), RATE)
    (recordings / "new.wav").write_bytes(b"RIFF")
    main(prepare)
    capsys.readouterr()
    assert main(diff) == 0
    found = [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines()]
    rows = {tuple(row[:2]): row[2] for row in found if len(row) == 3}
    assert rows["added", "empty.ogg"] == ""
    assert rows["removed", "one.flac"] == ""
    assert "duration_s" in rows["changed", "two.wav"]
    assert rows["refused", "new.wav"] == "check: unreadable"
    assert ("no longer refused", "empty.ogg") in rows
    assert not any(name == "broken.mp3" for _, name in rows)
    assert main([*diff, "--newer", first[:8], "--older", first]) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert main([*diff, "--older", "beef"]) == 1
    assert "0 snapshots in" in capsys.readouterr().err


def test_refused_recordings_are_tried_again_where_asked(
    prepare: list[str], recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(prepare)
    replay = ["corpus", "replay", "--corpus", str(tmp_path / "corpus")]
    capsys.readouterr()
    assert main([*replay, "--reason", "unreadable"]) == 0
    assert "1 refused recordings will be tried again" in capsys.readouterr().out
    main(prepare)
    assert "3 recordings were done before" in capsys.readouterr().out
    assert main([*replay, "--song", "empty.ogg"]) == 0
    assert main(replay) == 0
    assert "2 refused recordings" in capsys.readouterr().out
    main(prepare)
    assert "2 recordings were done before" in capsys.readouterr().out
    assert main([*replay, "--song", "one.flac"]) == 1
    assert "--song 'one.flac' was not refused" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (["--audio", "nowhere"], "--audio nowhere is no folder"),
        (["--workers", "-1"], "--workers is -1; expected 0 or more"),
        (["--listen", "-2"], "--listen is -2; expected 0 or more"),
        (["--max-duration-s", "0"], "--max-duration-s is 0.0; expected more than 0"),
    ],
)
def test_a_wrong_option_is_named(
    prepare: list[str], change: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*prepare, *change]) == 1
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


def test_missing_models_are_named_before_anything_is_written(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models" / "codec").mkdir(parents=True)
    options = ["--audio", str(recordings), "--corpus", str(tmp_path / "corpus"), "--models", str(tmp_path / "models")]
    assert main(["prepare", *options]) == 1
    assert "models lacks recogniser, tagger, musicality" in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


def test_the_corpus_of_other_recordings_is_left_alone(
    prepare: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corpus").mkdir()
    owner = {"format": 1, "recordings": "/somewhere/else"}
    (tmp_path / "corpus" / "corpus.json").write_text(json.dumps(owner))
    assert main(prepare) == 1
    assert "is the corpus of /somewhere/else" in capsys.readouterr().err


def test_a_folder_without_a_corpus_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "status", "--corpus", str(tmp_path)]) == 1
    assert "holds no corpus; `levo prepare --corpus" in capsys.readouterr().err


def test_structure_is_told_in_songprep_s_form(
    prepare: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def label(_self: FakeModel, mixture: Waveform, _vocal: Waveform | None) -> tuple[TimedSection, ...]:
        return (TimedSection(StructureTag.VERSE, 0.0, mixture.duration_s),)

    monkeypatch.setattr(FakeModel, "label", label)
    assert main(prepare) == 0
    capsys.readouterr()
    assert main(["corpus", "songprep", "--corpus", str(tmp_path / "corpus")]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["song_id"] for row in rows] == ["one.flac", "two.wav"]
    assert rows[0]["text"] == "[verse][0.00:2.00]la"

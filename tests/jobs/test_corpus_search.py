"""`levo corpus duplicates, leaks, takedown`: what is double, what is evaluated on, and all that a song touched."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import pipelines.corpus.embedded
from jobs.cli import main
from levo.training.examples import TrainingExample, write_examples
from pipelines.corpus.snapshot import open_corpus
from tests.jobs.test_prepare_command import fake_models
from tests.pipelines.corpus.test_likeness import RATE, melody

Text = pytest.CaptureFixture[str]


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pipelines.corpus.embedded, "embedded_models", fake_models)
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name, seed in (("one", 1), ("two", 2), ("three", 3)):
        soundfile.write(folder / f"{name}.flac", melody(seed), RATE)
    soundfile.write(folder / "again.mp3", melody(2), RATE)
    rows = [{"song_id": name, "audio": f"{name}.flac"} for name in ("one", "two", "three")]
    rows[0]["lyrics"] = "[verse] red moon. blue sky."
    rows.append({"song_id": "again", "audio": "again.mp3"})
    (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    place = tmp_path / "corpus"
    assert main(["prepare", "--audio", str(folder), "--corpus", str(place), "--workers", "0", "--listen", "0"]) == 0
    return place


def test_doubles_are_listed(corpus: Path, capsys: Text) -> None:
    capsys.readouterr()
    assert main(["corpus", "duplicates", "--corpus", str(corpus)]) == 0
    out = capsys.readouterr().out
    assert "1 pairs of songs are the same sound" in out
    assert "again" in out
    assert "three" not in out


def test_what_is_evaluated_on_must_not_be_in_the_corpus(corpus: Path, tmp_path: Path, capsys: Text) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    soundfile.write(prompts / "fresh.flac", melody(50), RATE)
    lyrics = tmp_path / "orders.jsonl"
    lyrics.write_text(json.dumps({"idx": "a", "gt_lyric": "[verse] new words."}) + "\n")
    command = ["corpus", "leaks", "--corpus", str(corpus), "--audio", str(prompts), "--lyrics", str(lyrics)]
    assert main(command) == 0
    soundfile.write(prompts / "known.ogg", melody(3)[2 * RATE : 8 * RATE], RATE)
    lyrics.write_text(json.dumps({"idx": "a", "gt_lyric": "[verse] Red moon. new words."}) + "\n")
    capsys.readouterr()
    assert main(command) == 1
    out = capsys.readouterr().out
    assert "1 of the sounds are in the corpus" in out
    assert "known.ogg" in out
    assert "1 of the lyrics are in the corpus" in out
    assert "50%" in out
    assert main(command[:4]) == 1
    assert "nothing to look for" in capsys.readouterr().err


def test_a_takedown_lists_all_that_a_song_touched(corpus: Path, tmp_path: Path, capsys: Text) -> None:
    run = tmp_path / "run"
    codes = np.zeros((3, 20), np.int32)
    write_examples([TrainingExample("two", codes, None, "", None)], run / "training" / "examples" / "pretrain")
    write_examples([TrainingExample("one", codes, None, "", None)], run / "training" / "examples" / "other")
    for folder in ("lelm/initial", "lelm/base", "lelm/lyric", "pairs", "candidates"):
        (run / folder).mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"key": "k", "config": {"recipe": "tiny"}}))
    capsys.readouterr()
    arguments = ["corpus", "takedown", "two", "--corpus", str(corpus), "--run", str(run), "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    kinds = {one["kind"] for one in found}
    assert kinds == {
        "snapshot shard",
        "memory shard",
        "object",
        "recording",
        "training examples",
        "checkpoints",
        "songs of its models",
        "model",
        "preference pairs",
        "registered model",
    }
    assert {Path(one["place"]).name for one in found if one["kind"] == "model"} == {"base", "lyric"}
    assert {one["place"] for one in found if one["kind"] == "registered model"} == {"levo-tiny-base", "levo-tiny-lyric"}
    (song,) = [song for song in open_corpus(corpus).songs if song.song_id == "two"]
    objects = {one["place"] for one in found if one["kind"] == "object"}
    assert {Path(place).name.split(".")[0] for place in objects} >= {song.tokens.sha256, song.stems.vocal.sha256}
    assert all(Path(place).is_file() for place in objects)
    shared = {Path(one["place"]).suffix for one in found if one["kind"] == "object" and one["is_shared"]}
    assert shared == {".npy"}, "all fake songs have the same tokens; their stems are their own"
    shutil.rmtree(run / "training" / "examples" / "pretrain")
    assert main(arguments) == 0
    assert "model" not in {one["kind"] for one in json.loads(capsys.readouterr().out)}
    assert main(["corpus", "takedown", "nobody", "--corpus", str(corpus)]) == 1
    assert "'nobody' is in no snapshot" in capsys.readouterr().err

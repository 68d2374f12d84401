"""`levo evaluate songs` with real models' weights, small and random."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jobs.cli import main
from tests.annotation.recogniser.test_whisper import write_tiny_whisper
from tests.reward.aesthetics.test_audiobox import small, write_checkpoint
from tests.reward.tiny_muq import write_mulan

__all__ = ["small"]
RATE = 24_000


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    lines = []
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.flac", generator.normal(0, 0.1, 2 * RATE), RATE)
        asked = {"gt_lyric": "[verse] red moon.", "descriptions": "female, dark."}
        lines.append(json.dumps({"idx": str(number), "wav_path": f"{number}.flac", **asked}))
    (tmp_path / "results.jsonl").write_text("\n".join(lines))
    return tmp_path / "results.jsonl"


@pytest.mark.usefixtures("small")
def test_the_papers_table_comes_from_real_models(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_checkpoint(tmp_path / "aesthetics.pt")
    write_tiny_whisper(tmp_path / "whisper.pt", 0, n_text_ctx=24)
    mulan = write_mulan(tmp_path / "models")
    reference = tmp_path / "reference"
    reference.mkdir()
    for number in range(2):
        (reference / f"{number}.flac").write_bytes((tmp_path / f"{number}.flac").read_bytes())
    judges = [
        f"--similarity=muq-mulan:{mulan}",
        f"--aesthetics=audiobox:{tmp_path / 'aesthetics.pt'}",
        f"--recogniser=whisper:{tmp_path / 'whisper.pt'}",
        f"--reference={reference}",
    ]
    assert main(["evaluate", "songs", str(songs), "--out", str(tmp_path / "out"), *judges]) == 0
    out = capsys.readouterr().out
    told = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    names = ["similarity_to_text", "similarity_to_prompt", "phoneme_error_rate"]
    assert list(told["metrics"]) == [*names, *(f"audiobox_{axis}" for axis in ("ce", "cu", "pc", "pq"))]
    assert all(name in out for name in told["metrics"])
    assert told["metrics"]["similarity_to_text"]["num_songs"] == 3
    assert told["metrics"]["similarity_to_prompt"]["missing"] == {"not asked for": 3}
    assert told["fad"]["num_reference_songs"] == 2
    assert "FAD: fewer songs than dimensions" in out


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "no judge is named"),
        (["--reference", "."], "--reference is given without --similarity"),
        (["--similarity", "mulan:x"], "similarity is 'mulan:x'; expected similarity:PATH"),
        (["--recogniser", "x"], "recogniser is 'x'; expected whisper:PATH"),
    ],
)
def test_a_wrong_call_says_what_is_right(
    songs: Path, options: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "songs", str(songs), "--out", str(songs.parent / "out"), *options]) == 1
    assert problem in capsys.readouterr().err

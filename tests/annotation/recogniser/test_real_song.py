"""A real song with every word timed by hand: known lyrics aligned by the embedded aligner, with the error printed."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from annotation.phonemes.languages import words_of
from annotation.recogniser.pocketsphinx_aligner import PocketSphinxAligner
from levo.song.waveform import Waveform


@pytest.mark.slow
def test_a_spanish_song_is_aligned_by_an_english_model(shared_folder: Path) -> None:
    pytest.importorskip("espeakng_loader")
    with (shared_folder / "data" / "fantasma.words.csv").open() as file:
        rows = list(csv.DictReader(file))
    samples, rate = soundfile.read(shared_folder / "data" / "fantasma.mp3", dtype="float32")
    lines = [list(words_of(row["word"], "es")) for row in rows]
    aligned = PocketSphinxAligner("es").align(Waveform(np.ascontiguousarray(samples.T), rate), lines)
    errors_s = np.array([abs(line.start_s - float(row["start_s"])) for line, row in zip(aligned, rows, strict=True)])
    shares = ", ".join(f"{np.mean(errors_s <= limit):.2f} within {limit} s" for limit in (0.1, 0.3, 1.0))
    sys.stderr.write(f"\n{len(rows)} words: median error {np.median(errors_s):.2f} s, {shares}\n")
    assert np.median(errors_s) < 0.3
